// Softmax: p = exp(x) / sum exp(x) along softmax_param.axis; dx = p * (dp - sum(dp * p)).
#include "common/base/status_macros.h"
#include "worker/nn/kernels/softmax_kernel.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class SoftmaxLayer : public Layer {
 public:
  SoftmaxLayer(const Shape& shape, int axis) : axis_(SoftmaxAxis::Of(shape, axis)) { AddTop(shape); }

  bool can_work_in_place() const override { return true; }
  bool backward_reads_tops() const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    const int64_t block = axis_.channels * axis_.inner;
    pass.loop.Run(axis_.outer, axis_.blocks_per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      SoftmaxForward(bottom(0).data + begin * block, top(0).data + begin * block, end - begin, axis_);
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const int64_t count = axis_.channels * axis_.inner;
    pass.loop.Run(axis_.outer, axis_.blocks_per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t i = begin * count; i < end * count; i += count)
        SoftmaxBackward(top(0).data + i, top(0).diff + i, bottom(0).diff + i, axis_);
    });
  }

 private:
  const SoftmaxAxis axis_;
};

}  // namespace

LayerOr CreateSoftmaxLayer(const LayerContext& context) {
  const caffe::SoftmaxParameter& softmax = context.param.softmax_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(softmax, "softmax_param", {"axis", "engine"}));
  if (softmax.engine() == caffe::SoftmaxParameter::CUDNN) {
    return absl::UnimplementedError("softmax_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  SAMOVAR_ASSIGN_OR_RETURN(const int axis, CanonicalAxis(context.bottoms[0], softmax.axis()));
  return std::make_unique<SoftmaxLayer>(context.bottoms[0], axis);
}

}  // namespace samovar
