// ReLU: y = max(x, 0) + slope * min(x, 0); dx = dy * (x > 0 ? 1 : slope). In place or not.
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class ReluLayer : public Layer {
 public:
  ReluLayer(const Shape& shape, float slope) : slope_(slope) { AddTop(shape); }

  // In place Backward sees y instead of x; with slope >= 0 both have the same sign.
  bool can_work_in_place() const override { return slope_ >= 0; }
  bool backward_reads_tops() const override { return can_work_in_place(); }

  absl::Status Forward(const Pass& pass) override {
    const float* in = bottom(0).data;
    float* out = top(0).data;
    Run(pass, [=, slope = slope_](int64_t i) { out[i] = Factor(in[i], slope) * in[i]; });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float* in = bottom(0).data;
    const float* top_diff = top(0).diff;
    float* bottom_diff = bottom(0).diff;
    Run(pass, [=, slope = slope_](int64_t i) { bottom_diff[i] = Factor(in[i], slope) * top_diff[i]; });
  }

 private:
  // As a factor rather than a choice between two results, which compilers do not vectorise.
  static float Factor(float x, float slope) { return x > 0 ? 1.0f : slope; }

  template <typename Body>
  void Run(const Pass& pass, Body body) {
    constexpr int64_t kElementsPerPiece = 32 << 10;
    pass.loop.Run(top(0).elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
#pragma GCC ivdep
      for (int64_t i = begin; i < end; ++i) body(i);
    });
  }

  const float slope_;
};

}  // namespace

LayerOr CreateReluLayer(const LayerContext& context) {
  const caffe::ReLUParameter& relu = context.param.relu_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(relu, "relu_param", {"negative_slope", "engine"}));
  if (relu.engine() == caffe::ReLUParameter::CUDNN) {
    return absl::UnimplementedError("relu_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  if (!std::isfinite(relu.negative_slope()))
    return absl::InvalidArgumentError("relu_param.negative_slope must be finite");
  return std::make_unique<ReluLayer>(context.bottoms[0], relu.negative_slope());
}

}  // namespace samovar
