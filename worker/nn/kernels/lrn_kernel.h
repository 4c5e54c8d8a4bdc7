// Sums and powers of local response normalisation, over plain arrays.
#pragma once

#include <algorithm>
#include <cstdint>

namespace samovar {

// y[i] = s[i]^(-beta). Of beta 0.5, 0.75 and 1 by square roots and quotients, which are exact or nearly so; else by exp
// and log of eigen.h. s 0 gives an infinity or NaN, s below 0 NaN.
void NegativePower(const float* s, int64_t n, float beta, float* y);

// The rows around one, those beyond the first and the last left out.
struct RowsAround {
  // More rows than 2 * kMostHalf + 1 are SumAcross's.
  static constexpr int64_t kMostHalf = 3;

  RowsAround(int64_t row, int64_t half, int64_t rows)
      : first(std::max<int64_t>(0, row - half)), count(std::min(rows - 1, row + half) - first + 1) {}

  int64_t first;
  int64_t count;
};

// sums[i] = sum of x[r][i]^2, or of x[r][i], over these rows r of n floats, `stride` apart. REQUIRES: at most
// kMostHalf rows on each side
void SumOfSquares(const RowsAround& around, const float* x, int64_t stride, int64_t n, float* sums);
void SumOfValues(const RowsAround& around, const float* x, int64_t stride, int64_t n, float* sums);

// sums[c][i] = sum of x[c'][i] over |c' - c| <= half, for `channels` rows of `width` floats. The sum runs along the
// channels, in doubles: a term that leaves it leaves no rounding error behind. `running` has `width` values.
void SumAcross(const float* x, int64_t channels, int64_t width, int64_t half, double* running, float* sums);

// The squares around each place of a plane, clipped to it.
struct PlaneBox {
  PlaneBox(int64_t height, int64_t width, int64_t half);

  // A row in a frame.
  int64_t pitch() const { return width + 2 * half_w; }
  int64_t frame_elements() const { return (height + 2 * half_h) * pitch(); }
  int64_t space_elements() const { return frame_elements() + 2 * height * pitch(); }

  int64_t height, width;
  int64_t half_h, half_w;
};

// sums[y][x] = sum of image[y'][x'] over |y' - y| <= half and |x' - x| <= half, within the image [height, width].
// `space` has space_elements() values, which are 0 before the first call for this box, and nobody else's.
void SumWithin(const PlaneBox& box, const float* image, float* space, float* sums);

}  // namespace samovar
