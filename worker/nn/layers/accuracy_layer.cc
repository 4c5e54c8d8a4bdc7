// Accuracy: the share of labels whose class is among the top_k highest scores. A position counts as right if fewer than
// top_k other classes score at least as high as the true one (ties count against it); ignored labels are left out of
// the share. Bottoms: scores [records, ..., classes (axis), ...], labels; tops: the share, and optionally the share of
// each class [classes], 0 for a class without labels. No gradient.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/softmax_kernel.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/labels.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class AccuracyLayer : public Layer {
 public:
  AccuracyLayer(const LayerContext& context, SoftmaxAxis axis)
      : name_(context.param.name()),
        axis_(axis),
        top_k_(context.param.accuracy_param().top_k()),
        has_ignore_(context.param.accuracy_param().has_ignore_label()),
        ignore_(context.param.accuracy_param().ignore_label()) {
    AddTop({});
    if (context.param.top_size() == 2) AddTop({axis.channels});
  }

  bool has_backward() const override { return false; }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(CheckLabels(name_, pass, bottom(1), axis_.channels, has_ignore_, ignore_));
    std::fill_n(right_.data(), axis_.channels, 0);
    std::fill_n(counted_.data(), axis_.channels, 0);
    for (int64_t position = 0; position < axis_.positions(); ++position) {
      const int64_t label = LabelAt(bottom(1).data, position);
      if (has_ignore_ && label == ignore_) continue;
      ++counted_.data()[label];
      right_.data()[label] += IsRight(position, label);
    }
    int64_t right = 0;
    int64_t counted = 0;
    for (int64_t label = 0; label < axis_.channels; ++label) {
      right += right_.data()[label];
      counted += counted_.data()[label];
      if (binding().tops.size() == 2) top(1).data[label] = Share(right_.data()[label], counted_.data()[label]);
    }
    top(0).data[0] = Share(right, counted);
    return absl::OkStatus();
  }

  void Backward(const Pass&) override {}

 private:
  absl::Status Allocate() override {
    SAMOVAR_RETURN_IF_ERROR(right_.Allocate(axis_.channels));
    return counted_.Allocate(axis_.channels);
  }

  static float Share(int64_t right, int64_t counted) {
    return counted == 0 ? 0 : static_cast<float>(right) / static_cast<float>(counted);
  }

  bool IsRight(int64_t position, int64_t label) const {
    const int64_t block = position / axis_.inner;
    const float* scores = bottom(0).data + block * axis_.channels * axis_.inner + position % axis_.inner;
    const float true_score = scores[label * axis_.inner];
    int64_t better = 0;
    for (int64_t c = 0; c < axis_.channels && better < top_k_; ++c) {
      // "At least as high", written so that NaN counts against too.
      better += c != label && !(scores[c * axis_.inner] < true_score);
    }
    return better < top_k_;
  }

  const std::string name_;
  const SoftmaxAxis axis_;
  const int64_t top_k_;
  const bool has_ignore_;
  const int64_t ignore_;
  // One entry a class.
  Buffer<int64_t> right_;
  Buffer<int64_t> counted_;
};

}  // namespace

LayerOr CreateAccuracyLayer(const LayerContext& context) {
  const caffe::AccuracyParameter& accuracy = context.param.accuracy_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(accuracy, "accuracy_param", {"top_k", "axis", "ignore_label"}));
  SAMOVAR_ASSIGN_OR_RETURN(const int number, CanonicalAxis(context.bottoms[0], accuracy.axis()));
  const SoftmaxAxis axis = SoftmaxAxis::Of(context.bottoms[0], number);
  SAMOVAR_RETURN_IF_ERROR(CheckLabelCount(context.bottoms[1], axis.positions()));
  if (accuracy.top_k() < 1 || accuracy.top_k() > axis.channels) {
    return absl::InvalidArgumentError(absl::StrCat("accuracy_param.top_k is ", accuracy.top_k(),
                                                   "; it must be 1 to the number of classes, ", axis.channels));
  }
  return std::make_unique<AccuracyLayer>(context, axis);
}

}  // namespace samovar
