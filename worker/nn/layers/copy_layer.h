// CopyLayer gives the bottom's values another shape: Flatten and Reshape. y = x, dx = dy.
//
// The top has values of its own, so that a layer may overwrite them; in place, with the same shape, there is nothing to
// do.
#pragma once

#include <algorithm>
#include <utility>

#include "worker/nn/layer.h"

namespace samovar {

class CopyLayer : public Layer {
 public:
  // REQUIRES: as many values as the bottom has
  explicit CopyLayer(Shape top) { AddTop(std::move(top)); }

  bool can_work_in_place() const override { return true; }

  absl::Status Forward(const Pass& pass) override {
    Copy(pass, bottom(0).data, top(0).data);
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override { Copy(pass, top(0).diff, bottom(0).diff); }

 private:
  void Copy(const Pass& pass, const float* from, float* to) {
    constexpr int64_t kElementsPerPiece = 64 << 10;
    if (from == to) return;
    pass.loop.Run(top(0).elements(), kElementsPerPiece,
                  [&](int64_t begin, int64_t end, int64_t, int) { std::copy(from + begin, from + end, to + begin); });
  }
};

}  // namespace samovar
