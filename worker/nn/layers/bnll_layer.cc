// BNLL: y = log(1 + exp(x)), computed as max(x, 0) + log(1 + exp(-|x|)); dx = dy / (1 + exp(-x)).
#include "worker/nn/kernels/packet_math.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"

namespace samovar {
namespace {

struct Bnll {
  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y,
        [](const Packet& p) {
          const Mask positive = Less(Broadcast(0), p);
          const Packet minus = Sub(Broadcast(0), p);
          const Packet power = PacketExp(Select(positive, minus, p));
          return IfFinite(p, Add(PacketLogOfOnePlus(power), Select(positive, p, Broadcast(0))));
        },
        x);
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    MapPackets(
        n, dx, [](const Packet& p, const Packet& diff) { return Mul(diff, IfFinite(p, PacketSigmoid(p))); }, x, dy);
  }
};

}  // namespace

LayerOr CreateBnllLayer(const LayerContext& context) { return MakeElementwise(context, Bnll{}); }

}  // namespace samovar
