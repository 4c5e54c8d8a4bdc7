#include "worker/nn/kernels/lrn_kernel.h"

#include <algorithm>
#include <cmath>

#include "worker/nn/kernels/copy_row.h"
#include "worker/nn/kernels/eigen.h"

namespace samovar {

// std::sqrt becomes the exact vector instruction; Eigen's square root is an approximation that differs between makes of
// CPU.
void NegativePower(const float* s, int64_t n, float beta, float* y) {
  const float* __restrict in = s;
  float* __restrict out = y;
  if (beta == 0.75f) {
    for (int64_t i = 0; i < n; ++i) {
      const float root = std::sqrt(in[i]);
      out[i] = 1 / (root * std::sqrt(root));
    }
  } else if (beta == 0.5f) {
    for (int64_t i = 0; i < n; ++i) out[i] = 1 / std::sqrt(in[i]);
  } else if (beta == 1) {
    for (int64_t i = 0; i < n; ++i) out[i] = 1 / in[i];
  } else {
    std::copy(in, in + n, out);
    LogInPlace(out, n);
    for (int64_t i = 0; i < n; ++i) out[i] *= -beta;
    ExpInPlace(out, n);
  }
}

namespace {

// sums[i] = the sum over the rows of term(x[row * stride + i]).
template <int64_t kRows, typename Term>
void SumRows(const float* x, int64_t stride, int64_t n, float* sums, Term term) {
  float* __restrict out = sums;
  const float* __restrict in = x;
  for (int64_t i = 0; i < n; ++i) {
    float sum = term(in[i]);
    for (int64_t row = 1; row < kRows; ++row) sum += term(in[row * stride + i]);
    out[i] = sum;
  }
}

template <typename Term>
void SumUpToSeven(const float* x, int64_t rows, int64_t stride, int64_t n, float* sums, Term term) {
  switch (rows) {
    case 1:
      return SumRows<1>(x, stride, n, sums, term);
    case 2:
      return SumRows<2>(x, stride, n, sums, term);
    case 3:
      return SumRows<3>(x, stride, n, sums, term);
    case 4:
      return SumRows<4>(x, stride, n, sums, term);
    case 5:
      return SumRows<5>(x, stride, n, sums, term);
    case 6:
      return SumRows<6>(x, stride, n, sums, term);
    default:
      return SumRows<7>(x, stride, n, sums, term);
  }
}

}  // namespace

void SumOfSquares(const RowsAround& around, const float* x, int64_t stride, int64_t n, float* sums) {
  SumUpToSeven(x + around.first * stride, around.count, stride, n, sums, [](float value) { return value * value; });
}

void SumOfValues(const RowsAround& around, const float* x, int64_t stride, int64_t n, float* sums) {
  SumUpToSeven(x + around.first * stride, around.count, stride, n, sums, [](float value) { return value; });
}

void SumAcross(const float* x, int64_t channels, int64_t width, int64_t half, double* running, float* sums) {
  double* __restrict sum = running;
  auto add = [&](int64_t channel, double sign) {
    const float* __restrict row = x + channel * width;
    for (int64_t i = 0; i < width; ++i) sum[i] += sign * row[i];
  };
  std::fill(sum, sum + width, 0.0);
  for (int64_t c = 0; c < std::min(half, channels); ++c) add(c, 1);
  for (int64_t c = 0; c < channels; ++c) {
    if (c + half < channels) add(c + half, 1);
    if (c - half - 1 >= 0) add(c - half - 1, -1);
    float* __restrict out = sums + c * width;
    for (int64_t i = 0; i < width; ++i) out[i] = static_cast<float>(sum[i]);
  }
}

namespace {

// sums[i] = the sum over any number of rows of x[row * stride + i].
void SumAllRows(const float* x, int64_t rows, int64_t stride, int64_t n, float* sums) {
  SumUpToSeven(x, rows, stride, n, sums, [](float value) { return value; });
  float* __restrict out = sums;
  for (int64_t row = 7; row < rows; ++row) {
    const float* __restrict in = x + row * stride;
    for (int64_t i = 0; i < n; ++i) out[i] += in[i];
  }
}

}  // namespace

PlaneBox::PlaneBox(int64_t height, int64_t width, int64_t half)
    : height(height), width(width), half_h(std::min(half, height - 1)), half_w(std::min(half, width - 1)) {}

void SumWithin(const PlaneBox& box, const float* image, float* space, float* sums) {
  const int64_t pitch = box.pitch();
  const int64_t places = box.height * pitch;
  float* const frame = space;
  float* const columns = frame + box.frame_elements();
  float* const boxes = columns + places;
  for (int64_t y = 0; y < box.height; ++y)
    CopyRow(image + y * box.width, frame + (y + box.half_h) * pitch + box.half_w, box.width);
  // All rows at once: what the sums along a row make at its end, of the next row too, is left out.
  SumAllRows(frame, 2 * box.half_h + 1, pitch, places, columns);
  SumAllRows(columns, 2 * box.half_w + 1, 1, places - 2 * box.half_w, boxes);
  for (int64_t y = 0; y < box.height; ++y) CopyRow(boxes + y * pitch, sums + y * box.width, box.width);
}

}  // namespace samovar
