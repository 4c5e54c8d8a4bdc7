#include "worker/nn/kernels/softmax_kernel.h"

#include <algorithm>

#include "worker/nn/kernels/eigen.h"

namespace samovar {

namespace {

// Columns that are worked on together: their values are neighbours in memory.
constexpr int64_t kColumns = 64;

// The columns [0, columns) of a block; rows are axis.inner apart.
void SoftmaxOfColumns(const float* x, float* p, int64_t columns, const SoftmaxAxis& axis) {
  float max[kColumns], sum[kColumns] = {};
  std::copy_n(x, columns, max);
  for (int64_t c = 1; c < axis.channels; ++c) {
    const float* const row = x + c * axis.inner;
    for (int64_t i = 0; i < columns; ++i) max[i] = row[i] > max[i] ? row[i] : max[i];
  }
  for (int64_t c = 0; c < axis.channels; ++c) {
    const float* const from = x + c * axis.inner;
    float* const to = p + c * axis.inner;
#pragma GCC ivdep
    for (int64_t i = 0; i < columns; ++i) to[i] = from[i] - max[i];
    // Rows of one column are neighbours: all of them are taken at once below.
    if (axis.inner > 1) ExpInPlace(to, columns);
  }
  if (axis.inner == 1) ExpInPlace(p, axis.channels);
  for (int64_t c = 0; c < axis.channels; ++c) {
    const float* const row = p + c * axis.inner;
    for (int64_t i = 0; i < columns; ++i) sum[i] += row[i];
  }
  for (int64_t c = 0; c < axis.channels; ++c) {
    float* const row = p + c * axis.inner;
    for (int64_t i = 0; i < columns; ++i) row[i] /= sum[i];
  }
}

}  // namespace

SoftmaxAxis SoftmaxAxis::Of(const Shape& shape, int axis) {
  return {Elements(shape, 0, axis), shape[static_cast<size_t>(axis)],
          Elements(shape, axis + 1, static_cast<int>(shape.size()))};
}

void SoftmaxForward(const float* x, float* p, int64_t blocks, const SoftmaxAxis& axis) {
  const int64_t count = axis.channels * axis.inner;
  for (int64_t block = 0; block < blocks; ++block, x += count, p += count) {
    for (int64_t first = 0; first < axis.inner; first += kColumns) {
      const int64_t columns = std::min(kColumns, axis.inner - first);
      SoftmaxOfColumns(x + first, p + first, columns, axis);
    }
  }
}

void SoftmaxBackward(const float* p, const float* dp, float* dx, const SoftmaxAxis& axis) {
  for (int64_t first = 0; first < axis.inner; first += kColumns) {
    const int64_t columns = std::min(kColumns, axis.inner - first);
    float dots[kColumns] = {};
    for (int64_t c = 0; c < axis.channels; ++c) {
      const int64_t at = c * axis.inner + first;
      for (int64_t i = 0; i < columns; ++i) dots[i] += dp[at + i] * p[at + i];
    }
    for (int64_t c = 0; c < axis.channels; ++c) {
      const int64_t at = c * axis.inner + first;
#pragma GCC ivdep
      for (int64_t i = 0; i < columns; ++i) dx[at + i] = p[at + i] * (dp[at + i] - dots[i]);
    }
  }
}

}  // namespace samovar
