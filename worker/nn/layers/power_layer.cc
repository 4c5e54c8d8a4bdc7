// Power: y = (shift + scale * x)^power; dx = dy * scale * power * (shift + scale * x)^(power - 1).
// With scale or power 0 y is one number and dx is 0; with power 1 dx = dy * scale. Both work in place.
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/eigen.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

// v = v^power, powers that are met often without the detour through logarithms.
void Raise(float* v, float power, int64_t n) {
  if (power == 1) return;
  if (power == 2) return ForEach(n, [=](int64_t i) { v[i] *= v[i]; });
  PowInPlace(v, power, n);
}

class Power {
 public:
  explicit Power(const caffe::PowerParameter& param)
      : power_(param.power()), scale_(param.scale()), shift_(param.shift()), slope_(param.power() * param.scale()) {}

  BackwardReads reads() const { return slope_ == 0 || power_ == 1 ? BackwardReads::kNothing : BackwardReads::kBottom; }

  void Forward(const float* x, float* y, int64_t n) const {
    if (slope_ == 0) {
      float constant = shift_;
      Raise(&constant, power_, 1);
      std::fill(y, y + n, constant);
      return;
    }
    ForEach(n, [=, this](int64_t i) { y[i] = shift_ + scale_ * x[i]; });
    Raise(y, power_, n);
  }

  void Backward(const float* x, const float* dy, float* dx, int64_t n) const {
    if (reads() == BackwardReads::kNothing) return ForEach(n, [=, this](int64_t i) { dx[i] = slope_ * dy[i]; });
    float derivative[kElementwiseBlock];
    ForEach(n, [&](int64_t i) { derivative[i] = shift_ + scale_ * x[i]; });
    Raise(derivative, power_ - 1, n);
    ForEach(n, [&](int64_t i) { dx[i] = dy[i] * (slope_ * derivative[i]); });
  }

 private:
  float power_;
  float scale_;
  float shift_;
  float slope_;
};

}  // namespace

LayerOr CreatePowerLayer(const LayerContext& context) {
  const caffe::PowerParameter& power = context.param.power_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(power, "power_param", {"power", "scale", "shift"}));
  if (!std::isfinite(power.power()) || !std::isfinite(power.scale()) || !std::isfinite(power.shift())) {
    return absl::InvalidArgumentError("power_param: power, scale and shift must be finite");
  }
  return MakeElementwise(context, Power(power));
}

}  // namespace samovar
