// ELU: y = x if x > 0, else alpha * (exp(x) - 1); dx = dy if x > 0, else dy * alpha * exp(x) = dy * (y + alpha).
// In place if alpha >= 0, since then y > 0 says that x > 0.
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet_math.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Elu {
  float alpha;

  BackwardReads reads() const { return alpha >= 0 ? BackwardReads::kTop : BackwardReads::kBottom; }

  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y,
        [a = Broadcast(alpha)](const Packet& p) {
          return Select(Less(Broadcast(0), p), p, Mul(a, Sub(ExpOfNegative(p), Broadcast(1))));
        },
        x);
  }

  void Backward(const float* v, const float* dy, float* dx, int64_t n) const {
    if (reads() == BackwardReads::kTop) {
      return ForEach(n, [=, a = alpha](int64_t i) { dx[i] = dy[i] * Choose(v[i] > 0, 1, v[i] + a); });
    }
    MapPackets(
        n, dx,
        [a = Broadcast(alpha)](const Packet& p, const Packet& diff) {
          return Mul(diff, Select(Less(Broadcast(0), p), Broadcast(1), Mul(a, ExpOfNegative(p))));
        },
        v, dy);
  }

 private:
  // exp(min(x, 0)); NaN stays NaN.
  static Packet ExpOfNegative(const Packet& x) {
    const Packet negative = Select(Less(Broadcast(0), x), Broadcast(0), x);
    return IfFinite(negative, PacketExp(negative));
  }
};

}  // namespace

LayerOr CreateEluLayer(const LayerContext& context) {
  const caffe::ELUParameter& elu = context.param.elu_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(elu, "elu_param", {"alpha"}));
  if (!std::isfinite(elu.alpha())) return absl::InvalidArgumentError("elu_param.alpha must be finite");
  return MakeElementwise(context, Elu{elu.alpha()});
}

}  // namespace samovar
