// Softmax along one axis, shared by Softmax and SoftmaxWithLoss.
#pragma once

#include <algorithm>
#include <cstdint>

#include "worker/nn/shape.h"

namespace samovar {

// A blob seen as [outer, channels, inner]: softmax runs along `channels`.
struct SoftmaxAxis {
  int64_t outer;
  int64_t channels;
  int64_t inner;

  // REQUIRES: 0 <= axis < axes
  static SoftmaxAxis Of(const Shape& shape, int axis);
  int64_t positions() const { return outer * inner; }
  // Blocks [channels, inner] that one piece of a loop handles: some thousand values.
  int64_t blocks_per_piece() const { return std::max<int64_t>(1, 4096 / (channels * inner)); }
};

// p = exp(x - max) / sum(exp(x - max)) for `blocks` blocks [channels, inner], max and sum along the channels; x and p
// may be the same. NaN, or an infinity, in a column makes its whole column NaN.
void SoftmaxForward(const float* x, float* p, int64_t blocks, const SoftmaxAxis& axis);
// dx = p * (dp - sum(dp * p)) for one block; dx and dp may be the same.
void SoftmaxBackward(const float* p, const float* dp, float* dx, const SoftmaxAxis& axis);

}  // namespace samovar
