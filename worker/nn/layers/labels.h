// Labels as the loss and the accuracy read them: floats that must be classes.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/nn/layer.h"

namespace samovar {

// The label of one position, cut to an integer as Caffe does. Whether it is a class is CheckLabels' matter.
inline int64_t LabelAt(const float* labels, int64_t position) { return static_cast<int64_t>(labels[position]); }

// INVALID_ARGUMENT unless there is a label for each of the positions that are predicted.
inline absl::Status CheckLabelCount(const Shape& labels, int64_t positions) {
  if (Elements(labels) == positions) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("there are ", Elements(labels), " labels and ", positions, " predictions; there must be as many"));
}

// INVALID_ARGUMENT unless each of the labels is in [0, classes) or the ignored one.
inline absl::Status CheckLabels(const std::string& layer, const Pass& pass, const Blob& labels, int64_t classes,
                                bool has_ignore, int64_t ignore) {
  const int64_t count = labels.elements();
  for (int64_t i = 0; i < count; ++i) {
    const float label = labels.data[i];
    // Written so that NaN fails; the bounds keep the conversion to an integer defined.
    const bool integral = label > -1e9f && label < 1e9f;
    if (integral && has_ignore && LabelAt(labels.data, i) == ignore) continue;
    if (integral && LabelAt(labels.data, i) >= 0 && label >= 0 && LabelAt(labels.data, i) < classes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("layer \"", layer, "\": record ", i / labels.record_elements(), " of iteration ", pass.iteration,
                     " has label ", label, " in blob \"", labels.written_name, "\", but there are ", classes,
                     " classes, 0 to ", classes - 1, "; correct the data, or num_output of the layer below"));
  }
  return absl::OkStatus();
}

}  // namespace samovar
