// Split: every top is the bottom; dx = sum of the dy, in the order of the tops.
//
// Tops have copies, not views, of the data, so that a layer may overwrite its own.
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
    pass.loop.Run(bottom(0).elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      for (const Blob* blob : binding().tops)
        std::copy(bottom(0).data + begin, bottom(0).data + end, blob->data + begin);
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
          std::copy(blob->diff + begin, blob->diff + end, sum + begin);
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
