// Sigmoid: y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y). In place or not.
#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet_math.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Sigmoid {
  BackwardReads reads() const { return BackwardReads::kTop; }
  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y, [](const Packet& p) { return IfFinite(p, PacketSigmoid(p)); }, x);
  }
  void Backward(const float* y, const float* dy, float* dx, int64_t n) const {
    ForEach(n, [=](int64_t i) { dx[i] = dy[i] * y[i] * (1 - y[i]); });
  }
};

}  // namespace

LayerOr CreateSigmoidLayer(const LayerContext& context) {
  const caffe::SigmoidParameter& sigmoid = context.param.sigmoid_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(sigmoid, "sigmoid_param", {"engine"}));
  if (sigmoid.engine() == caffe::SigmoidParameter::CUDNN) {
    return absl::UnimplementedError("sigmoid_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  return MakeElementwise(context, Sigmoid{});
}

}  // namespace samovar
