// EuclideanLoss: loss = sum of (a - b)^2 / (2 N), N the records; da = (a - b) * weight / N, db = -da; weight is the
// top's diff. Bottoms: a and b of as many records, and values in each.
#include "absl/strings/str_cat.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/elementwise_layer.h"

namespace samovar {
namespace {

constexpr int64_t kElementsPerPiece = 32 << 10;

class EuclideanLossLayer : public Layer {
 public:
  EuclideanLossLayer() { AddTop({}); }

  bool has_gradient_of_bottom(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    const float* a = bottom(0).data;
    const float* b = bottom(1).data;
    const double sum = sum_.Run(pass.loop, [=](int64_t begin, int64_t end) {
      return SumOf<double>(end - begin, [=](int64_t i) {
        const float difference = a[begin + i] - b[begin + i];
        return static_cast<double>(difference) * difference;
      });
    });
    top(0).data[0] = static_cast<float>(sum / (2.0 * static_cast<double>(bottom(0).records())));
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    const float scale = top(0).diff[0] / static_cast<float>(bottom(0).records());
    for (size_t i = 0; i < 2; ++i) {
      if (!binding().propagate_down[i]) continue;
      const float* own = bottom(i).data;
      const float* other = bottom(1 - i).data;
      float* dx = bottom(i).diff;
      pass.loop.Run(bottom(i).elements(), kElementsPerPiece, [=](int64_t begin, int64_t end, int64_t, int) {
        ForEach(end - begin, [=](int64_t k) { dx[begin + k] = (own[begin + k] - other[begin + k]) * scale; });
      });
    }
  }

 private:
  absl::Status Allocate() override {
    sum_.Prepare(bottom(0).elements(), kElementsPerPiece);
    return absl::OkStatus();
  }

  PieceSum sum_;
};

}  // namespace

LayerOr CreateEuclideanLossLayer(const LayerContext& context) {
  const Shape& a = context.bottoms[0];
  const Shape& b = context.bottoms[1];
  const auto records = [](const Shape& shape) { return shape.empty() ? 1 : shape[0]; };
  if (records(a) != records(b) || RecordElements(a) != RecordElements(b)) {
    return absl::InvalidArgumentError(absl::StrCat("the bottoms have ", records(a), " records of ", RecordElements(a),
                                                   " values and ", records(b), " of ", RecordElements(b),
                                                   "; they must have the same"));
  }
  return std::make_unique<EuclideanLossLayer>();
}

}  // namespace samovar
