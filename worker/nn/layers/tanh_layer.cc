// TanH: y = tanh(x); dx = dy * (1 - y^2). In place or not.
#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet_math.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct Tanh {
  BackwardReads reads() const { return BackwardReads::kTop; }
  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y, [](const Packet& p) { return IfFinite(p, Eigen::internal::ptanh(p)); }, x);
  }
  void Backward(const float* y, const float* dy, float* dx, int64_t n) const {
    ForEach(n, [=](int64_t i) { dx[i] = dy[i] * (1 - y[i] * y[i]); });
  }
};

}  // namespace

LayerOr CreateTanhLayer(const LayerContext& context) {
  const caffe::TanHParameter& tanh = context.param.tanh_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(tanh, "tanh_param", {"engine"}));
  if (tanh.engine() == caffe::TanHParameter::CUDNN) {
    return absl::UnimplementedError("tanh_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  return MakeElementwise(context, Tanh{});
}

}  // namespace samovar
