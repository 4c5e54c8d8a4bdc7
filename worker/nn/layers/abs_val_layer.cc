// AbsVal: y = |x|; dx = dy * sign(x), 0 at 0.
#include <cmath>

#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"

namespace samovar {
namespace {

struct AbsVal {
  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    ForEach(n, [=](int64_t i) { y[i] = std::abs(x[i]); });
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    ForEach(n, [=](int64_t i) { dx[i] = x[i] > 0 ? dy[i] : x[i] < 0 ? -dy[i] : 0; });
  }
};

}  // namespace

LayerOr CreateAbsValLayer(const LayerContext& context) { return MakeElementwise(context, AbsVal{}); }

}  // namespace samovar
