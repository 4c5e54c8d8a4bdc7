// SoftmaxWithLoss: loss = -sum over positions of log(max(p[label], FLT_MIN)) / normalizer, p = softmax of bottom 0.
// normalizer: loss_normalization.h, VALID unless loss_param says otherwise; a batch is the blocks before the axis.
// Gradient: (p - 1{label}) * weight / normalizer, 0 where the label is ignored; weight is the top's diff.
// Bottoms: scores [records, ..., classes (axis), ...], labels; tops: the loss, and optionally p.
#include <algorithm>
#include <cfloat>
#include <string>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/kernels/softmax_kernel.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/labels.h"
#include "worker/nn/layers/layer_fields.h"
#include "worker/nn/layers/loss_normalization.h"

namespace samovar {
namespace {

class SoftmaxLossLayer : public Layer {
 public:
  SoftmaxLossLayer(const LayerContext& context, SoftmaxAxis axis, const LossNormalization& normalization)
      : name_(context.param.name()), axis_(axis), normalization_(normalization) {
    AddTop({});
    if (context.param.top_size() == 2) AddTop(context.bottoms[0]);
  }

  bool backward_reads_tops() const override { return top_shapes().size() == 2; }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(
        CheckLabels(name_, pass, bottom(1), axis_.channels, normalization_.has_ignore, normalization_.ignore));
    const int64_t block = axis_.channels * axis_.inner;
    pass.loop.Run(axis_.outer, axis_.blocks_per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      SoftmaxForward(bottom(0).data + begin * block, probabilities_ + begin * block, end - begin, axis_);
    });
    const int64_t valid = GatherLogarithms();
    normalizer_ = normalization_.Divisor(axis_.outer, axis_.positions(), valid);
    double sum = 0;
    for (int64_t i = 0; i < valid; ++i) sum -= logarithms_.data()[i];
    top(0).data[0] = static_cast<float>(sum / static_cast<double>(normalizer_));
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float scale = top(0).diff[0] / normalizer_;
    pass.loop.Run(axis_.outer, axis_.blocks_per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t block = begin; block < end; ++block) BackwardBlock(block, scale);
    });
  }

 private:
  absl::Status Allocate() override {
    SAMOVAR_RETURN_IF_ERROR(logarithms_.Allocate(axis_.positions()));
    if (binding().tops.size() == 2) {
      probabilities_ = top(1).data;
      return absl::OkStatus();
    }
    SAMOVAR_RETURN_IF_ERROR(own_probabilities_.Allocate(bottom(0).elements()));
    probabilities_ = own_probabilities_.data();
    return absl::OkStatus();
  }

  // log p[label] of every position that is not ignored, in order; returns their number.
  int64_t GatherLogarithms() {
    int64_t valid = 0;
    for (int64_t position = 0; position < axis_.positions(); ++position) {
      const int64_t label = LabelAt(bottom(1).data, position);
      if (normalization_.Ignores(label)) continue;
      const int64_t block = position / axis_.inner;
      const float p = probabilities_[(block * axis_.channels + label) * axis_.inner + position % axis_.inner];
      // std::max in this order keeps a NaN.
      logarithms_.data()[valid++] = std::max(p, FLT_MIN);
    }
    LogInPlace(logarithms_.data(), valid);
    return valid;
  }

  void BackwardBlock(int64_t block, float scale) {
    const int64_t count = axis_.channels * axis_.inner;
    const float* p = probabilities_ + block * count;
    float* dx = bottom(0).diff + block * count;
    for (int64_t i = 0; i < count; ++i) dx[i] = p[i] * scale;
    for (int64_t i = 0; i < axis_.inner; ++i) {
      const int64_t label = LabelAt(bottom(1).data, block * axis_.inner + i);
      if (normalization_.Ignores(label)) {
        for (int64_t c = 0; c < axis_.channels; ++c) dx[c * axis_.inner + i] = 0;
      } else {
        dx[label * axis_.inner + i] = (p[label * axis_.inner + i] - 1) * scale;
      }
    }
  }

  const std::string name_;
  const SoftmaxAxis axis_;
  const LossNormalization normalization_;
  Buffer<float> own_probabilities_;
  Buffer<float> logarithms_;
  // Own or top 1's: as bottom 0.
  float* probabilities_ = nullptr;
  // Set by the last Forward.
  float normalizer_ = 1;
};

}  // namespace

LayerOr CreateSoftmaxLossLayer(const LayerContext& context) {
  const caffe::SoftmaxParameter& softmax = context.param.softmax_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(softmax, "softmax_param", {"axis", "engine"}));
  SAMOVAR_ASSIGN_OR_RETURN(const LossNormalization normalization,
                           LossNormalization::Of(context.param.loss_param(), caffe::LossParameter::VALID));
  if (softmax.engine() == caffe::SoftmaxParameter::CUDNN) {
    return absl::UnimplementedError("softmax_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  SAMOVAR_ASSIGN_OR_RETURN(const int number, CanonicalAxis(context.bottoms[0], softmax.axis()));
  const SoftmaxAxis axis = SoftmaxAxis::Of(context.bottoms[0], number);
  SAMOVAR_RETURN_IF_ERROR(CheckLabelCount(context.bottoms[1], axis.positions()));
  return std::make_unique<SoftmaxLossLayer>(context, axis, normalization);
}

}  // namespace samovar
