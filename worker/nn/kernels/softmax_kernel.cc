#include "worker/nn/kernels/softmax_kernel.h"

#include "worker/nn/kernels/eigen.h"

namespace samovar {

SoftmaxAxis SoftmaxAxis::Of(const Shape& shape, int axis) {
  return {Elements(shape, 0, axis), shape[static_cast<size_t>(axis)],
          Elements(shape, axis + 1, static_cast<int>(shape.size()))};
}

void SoftmaxForward(const float* x, float* p, int64_t blocks, const SoftmaxAxis& axis) {
  const int64_t inner = axis.inner;
  const int64_t count = axis.channels * inner;
  for (int64_t block = 0; block < blocks; ++block, x += count, p += count) {
    for (int64_t i = 0; i < inner; ++i) {
      float max = x[i];
      for (int64_t c = 1; c < axis.channels; ++c) max = x[c * inner + i] > max ? x[c * inner + i] : max;
      for (int64_t c = 0; c < axis.channels; ++c) p[c * inner + i] = x[c * inner + i] - max;
    }
    ExpInPlace(p, count);
    for (int64_t i = 0; i < inner; ++i) {
      float sum = 0;
      for (int64_t c = 0; c < axis.channels; ++c) sum += p[c * inner + i];
      for (int64_t c = 0; c < axis.channels; ++c) p[c * inner + i] /= sum;
    }
  }
}

}  // namespace samovar
