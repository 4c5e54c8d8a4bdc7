// Swish: y = x * s, s = 1 / (1 + exp(-beta * x)); dx = dy * (beta * y + s * (1 - beta * y)).
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Swish {
  float beta;

  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    ForEach(n, [=, this](int64_t i) { y[i] = beta * x[i]; });
    SigmoidInPlace(y, n);
    ForEach(n, [=](int64_t i) { y[i] *= x[i]; });
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    float s[kElementwiseBlock];
    ForEach(n, [&](int64_t i) { s[i] = beta * x[i]; });
    SigmoidInPlace(s, n);
    ForEach(n, [&](int64_t i) {
      const float beta_y = beta * x[i] * s[i];
      dx[i] = dy[i] * (beta_y + s[i] * (1 - beta_y));
    });
  }
};

}  // namespace

LayerOr CreateSwishLayer(const LayerContext& context) {
  const caffe::SwishParameter& swish = context.param.swish_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(swish, "swish_param", {"beta"}));
  if (!std::isfinite(swish.beta())) return absl::InvalidArgumentError("swish_param.beta must be finite");
  return MakeElementwise(context, Swish{swish.beta()});
}

}  // namespace samovar
