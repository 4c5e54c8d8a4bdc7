// The divisor of a loss, and the positions that it leaves out (loss_param).
//   VALID       the positions that are not ignored
//   FULL        all positions
//   BATCH_SIZE  the batch, for any number of positions a record
//   NONE        1
// and at least by 1. The older field `normalize` means VALID (true) or BATCH_SIZE (false); it counts only without
// `normalization`.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/base/status_macros.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {

struct LossNormalization {
  using Mode = caffe::LossParameter::NormalizationMode;

  Mode mode = caffe::LossParameter::VALID;
  bool has_ignore = false;
  int64_t ignore = 0;

  // `otherwise`: the loss's own mode if no field says any. UNIMPLEMENTED: a field is not offered.
  static absl::StatusOr<LossNormalization> Of(const caffe::LossParameter& param, Mode otherwise) {
    SAMOVAR_RETURN_IF_ERROR(CheckFields(param, "loss_param", {"ignore_label", "normalize", "normalization"}));
    Mode mode = otherwise;
    if (param.has_normalize())
      mode = param.normalize() ? caffe::LossParameter::VALID : caffe::LossParameter::BATCH_SIZE;
    if (param.has_normalization()) mode = param.normalization();
    return LossNormalization{mode, param.has_ignore_label(), param.ignore_label()};
  }

  bool Ignores(int64_t label) const { return has_ignore && label == ignore; }

  // `valid` of the positions are not ignored.
  float Divisor(int64_t batch, int64_t positions, int64_t valid) const {
    int64_t count = 1;
    switch (mode) {
      case caffe::LossParameter::FULL:
        count = positions;
        break;
      case caffe::LossParameter::VALID:
        count = valid;
        break;
      case caffe::LossParameter::BATCH_SIZE:
        count = batch;
        break;
      case caffe::LossParameter::NONE:
        break;
    }
    return static_cast<float>(std::max<int64_t>(count, 1));
  }
};

}  // namespace samovar
