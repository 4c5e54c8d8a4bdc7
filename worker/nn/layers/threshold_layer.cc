// Threshold: y = 1 if x > threshold, else 0; NaN stays NaN. No gradient.
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Threshold {
  float threshold;

  BackwardReads reads() const { return BackwardReads::kNothing; }
  void Forward(const float* x, float* y, int64_t n) const {
    ForEach(n, [=, this](int64_t i) { y[i] = x[i] > threshold ? 1 : x[i] <= threshold ? 0 : x[i]; });
  }
};

}  // namespace

LayerOr CreateThresholdLayer(const LayerContext& context) {
  const caffe::ThresholdParameter& threshold = context.param.threshold_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(threshold, "threshold_param", {"threshold"}));
  if (!std::isfinite(threshold.threshold()))
    return absl::InvalidArgumentError("threshold_param.threshold must be finite");
  return MakeElementwise(context, Threshold{threshold.threshold()});
}

}  // namespace samovar
