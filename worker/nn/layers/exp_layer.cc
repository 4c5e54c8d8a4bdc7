// Exp: y = base^(shift + scale * x), base -1 being e; dx = dy * y * scale * log(base). In place or not.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/kernels/packet_math.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class Exp {
 public:
  explicit Exp(const caffe::ExpParameter& param) {
    float log_base = param.base();
    if (param.base() == -1) {
      log_base = 1;
    } else {
      LogInPlace(&log_base, 1);
    }
    inner_scale_ = log_base * param.scale();
    outer_scale_ = log_base * param.shift();
    ExpInPlace(&outer_scale_, 1);
  }

  BackwardReads reads() const { return BackwardReads::kTop; }
  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y,
        [inner = Broadcast(inner_scale_), outer = Broadcast(outer_scale_)](const Packet& p) {
          const Packet scaled = Mul(inner, p);
          return Mul(IfFinite(scaled, PacketExp(scaled)), outer);
        },
        x);
  }
  void Backward(const float* y, const float* dy, float* dx, int64_t n) const {
    ForEach(n, [=, this](int64_t i) { dx[i] = dy[i] * (inner_scale_ * y[i]); });
  }

 private:
  // y = outer * exp(inner * x)
  float inner_scale_;
  float outer_scale_;
};

}  // namespace

LayerOr CreateExpLayer(const LayerContext& context) {
  const caffe::ExpParameter& exp = context.param.exp_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(exp, "exp_param", {"base", "scale", "shift"}));
  if (exp.base() != -1 && !(exp.base() > 0 && std::isfinite(exp.base()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("exp_param.base is ", exp.base(), "; give a number above 0, or -1 for e"));
  }
  if (!std::isfinite(exp.scale()) || !std::isfinite(exp.shift())) {
    return absl::InvalidArgumentError("exp_param: scale and shift must be finite");
  }
  return MakeElementwise(context, Exp(exp));
}

}  // namespace samovar
