// MultinomialLogisticLoss: loss = -sum of log(max(p[label], 1e-20)) / N; dp = -weight / N / max(p, 1e-20) at the label,
// else 0. N are the records, weight is the top's diff. Bottoms: probabilities [N, ...], all axes but the first being
// classes; labels, one each.
#include <algorithm>
#include <string>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/labels.h"

namespace samovar {
namespace {

constexpr float kSmallest = 1e-20f;

class MultinomialLogisticLossLayer : public Layer {
 public:
  explicit MultinomialLogisticLossLayer(const LayerContext& context) : name_(context.param.name()) { AddTop({}); }

  absl::Status Forward(const Pass& pass) override {
    SAMOVAR_RETURN_IF_ERROR(CheckLabels(name_, pass, bottom(1), bottom(0).record_elements(), false, 0));
    const int64_t records = bottom(0).records();
    for (int64_t record = 0; record < records; ++record) {
      // std::max in this order keeps a NaN.
      logarithms_.data()[record] = std::max(bottom(0).data[AtLabel(record)], kSmallest);
    }
    LogInPlace(logarithms_.data(), records);
    double sum = 0;
    for (float logarithm : logarithms_.span()) sum -= logarithm;
    top(0).data[0] = static_cast<float>(sum / static_cast<double>(records));
    return absl::OkStatus();
  }

  void Backward(const Pass&) override {
    std::fill_n(bottom(0).diff, bottom(0).elements(), 0.0f);
    const float scale = top(0).diff[0] / static_cast<float>(bottom(0).records());
    for (int64_t record = 0; record < bottom(0).records(); ++record) {
      const int64_t at = AtLabel(record);
      bottom(0).diff[at] = -scale / std::max(bottom(0).data[at], kSmallest);
    }
  }

 private:
  absl::Status Allocate() override { return logarithms_.Allocate(bottom(0).records()); }

  int64_t AtLabel(int64_t record) const {
    return record * bottom(0).record_elements() + LabelAt(bottom(1).data, record);
  }

  const std::string name_;
  Buffer<float> logarithms_;
};

}  // namespace

LayerOr CreateMultinomialLogisticLossLayer(const LayerContext& context) {
  SAMOVAR_RETURN_IF_ERROR(CheckLabelCount(context.bottoms[1], context.bottoms[0].empty() ? 1 : context.bottoms[0][0]));
  return std::make_unique<MultinomialLogisticLossLayer>(context);
}

}  // namespace samovar
