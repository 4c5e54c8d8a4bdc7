// Log: y = log(shift + scale * x) / log(base), base -1 being e; dx = dy * scale / log(base) / (shift + scale * x).
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

class Log {
 public:
  explicit Log(const caffe::LogParameter& param) : scale_(param.scale()), shift_(param.shift()) {
    if (param.base() == -1) return;
    float log_base = param.base();
    LogInPlace(&log_base, 1);
    base_scale_ = 1 / log_base;
  }

  BackwardReads reads() const { return BackwardReads::kBottom; }
  void Forward(const float* x, float* y, int64_t n) const {
    MapPackets(
        n, y,
        [shift = Broadcast(shift_), scale = Broadcast(scale_), base = Broadcast(base_scale_)](const Packet& p) {
          const Packet inner = Add(Mul(scale, p), shift);
          return Mul(IfFinite(inner, PacketLog(inner)), base);
        },
        x);
  }
  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    const float numerator = scale_ * base_scale_;
    ForEach(n, [=, this](int64_t i) { dx[i] = dy[i] * (numerator / (shift_ + scale_ * x[i])); });
  }

 private:
  float scale_;
  float shift_;
  // 1 / log(base)
  float base_scale_ = 1;
};

}  // namespace

LayerOr CreateLogLayer(const LayerContext& context) {
  const caffe::LogParameter& log = context.param.log_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(log, "log_param", {"base", "scale", "shift"}));
  if (log.base() != -1 && !(log.base() > 0 && log.base() != 1 && std::isfinite(log.base()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("log_param.base is ", log.base(), "; give a number above 0 other than 1, or -1 for e"));
  }
  if (!std::isfinite(log.scale()) || !std::isfinite(log.shift())) {
    return absl::InvalidArgumentError("log_param: scale and shift must be finite");
  }
  return MakeElementwise(context, Log(log));
}

}  // namespace samovar
