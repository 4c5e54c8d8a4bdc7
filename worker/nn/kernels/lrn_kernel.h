// Sums and powers of local response normalisation, over plain arrays.
#pragma once

#include <cstdint>

namespace samovar {

// y[i] = s[i]^(-beta). Of beta 0.75 within a few units in the last place, of 0.5 and 1 by square roots and quotients;
// else by exp and log of packet_math.h. s 0 gives an infinity or NaN, s below 0 NaN, an infinite s 0 or, by exp and
// log, NaN.
void NegativePower(const float* s, int64_t n, float beta, float* y);

// A strip of channels: `rows` rows of n floats, one channel each, `stride` apart; s = k + weight * the sum of x^2 over
// the rows at most `half` away.
struct ChannelStrip {
  // Sums over more rows than 2 * kMostHalf + 1 are SumAcross's.
  static constexpr int64_t kMostHalf = 3;
  // Rows of n floats, rounded up to packets, that the functions below need as space.
  static constexpr int64_t kSpaceRows = 16;

  int64_t rows, stride, n, half;
  float k, weight, beta;
};

// y = x * s^(-beta); y may be x. REQUIRES: half <= kMostHalf
void NormaliseStrip(const ChannelStrip& strip, const float* x, float* space, float* y);
// dx = dy * s^(-beta) - 2 weight beta x * sum of dy * x * s^(-beta - 1) over the same rows. REQUIRES: half <= kMostHalf
void StripGradient(const ChannelStrip& strip, const float* x, const float* dy, float* space, float* dx);

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
