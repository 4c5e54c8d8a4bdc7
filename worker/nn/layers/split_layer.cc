// Split: every top is the bottom; dx = sum of the dy, in the order of the tops.
//
// In a net the tops have the bottom's data for theirs, and the first top with a diff has the bottom's: there is nothing
// to copy (net_builder.cc). By itself the layer makes copies.
#include <algorithm>

#include "worker/nn/layer_factories.h"

namespace samovar {
namespace {

constexpr int64_t kElementsPerPiece = 32 << 10;

class SplitLayer : public Layer {
 public:
  SplitLayer(const Shape& shape, int tops) {
    for (int i = 0; i < tops; ++i) AddTop(shape);
  }

  bool has_gradient_through_top(size_t) const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    const auto is_copy = [this](const Blob* top) { return top->data != bottom(0).data; };
    if (std::none_of(binding().tops.begin(), binding().tops.end(), is_copy)) return absl::OkStatus();
    pass.loop.Run(bottom(0).elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      for (const Blob* blob : binding().tops) {
        if (is_copy(blob)) std::copy(bottom(0).data + begin, bottom(0).data + end, blob->data + begin);
      }
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    pass.loop.Run(bottom(0).elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      bool first = true;
      float* sum = bottom(0).diff;
      for (const Blob* blob : binding().tops) {
        if (blob->diff == nullptr) continue;
        if (first) {
          if (blob->diff != sum) std::copy(blob->diff + begin, blob->diff + end, sum + begin);
        } else {
          for (int64_t i = begin; i < end; ++i) sum[i] += blob->diff[i];
        }
        first = false;
      }
    });
  }
};

}  // namespace

LayerOr CreateSplitLayer(const LayerContext& context) {
  return std::make_unique<SplitLayer>(context.bottoms[0], context.param.top_size());
}

}  // namespace samovar
