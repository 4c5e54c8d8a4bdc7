// Swish: y = x * s, s = 1 / (1 + exp(-beta * x)); dx = dy * (beta * y + s * (1 - beta * y)).
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet_math.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Swish {
  float beta;

  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y, [this](const Packet& p) { return Mul(Slope(p), p); }, x);
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    MapPackets(
        n, dx,
        [this](const Packet& p, const Packet& diff) {
          const Packet s = Slope(p);
          const Packet beta_y = Mul(Mul(Broadcast(beta), p), s);
          return Mul(diff, MulAdd(s, Sub(Broadcast(1), beta_y), beta_y));
        },
        x, dy);
  }

 private:
  // s
  Packet Slope(const Packet& x) const {
    const Packet scaled = Mul(Broadcast(beta), x);
    return IfFinite(scaled, PacketSigmoid(scaled));
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
