// BNLL: y = log(1 + exp(x)), computed as max(x, 0) + log(1 + exp(-|x|)); dx = dy / (1 + exp(-x)).
#include <cmath>

#include "worker/nn/kernels/eigen.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"

namespace samovar {
namespace {

struct Bnll {
  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    ForEach(n, [=](int64_t i) { y[i] = -std::abs(x[i]); });
    ExpInPlace(y, n);
    Log1pInPlace(y, n);
    ForEach(n, [=](int64_t i) { y[i] += Choose(x[i] > 0, x[i], 0); });
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    float derivative[kElementwiseBlock];
    std::copy(x, x + n, derivative);
    SigmoidInPlace(derivative, n);
    ForEach(n, [&](int64_t i) { dx[i] = dy[i] * derivative[i]; });
  }
};

}  // namespace

LayerOr CreateBnllLayer(const LayerContext& context) { return MakeElementwise(context, Bnll{}); }

}  // namespace samovar
