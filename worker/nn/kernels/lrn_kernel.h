// Sums and powers of local response normalisation, over plain arrays.
#pragma once

#include <cstdint>

namespace samovar {

// y[i] = s[i]^(-beta). Of beta 0.5, 0.75 and 1 by square roots and quotients, which are exact or nearly so; else by exp
// and log of eigen.h. s 0 gives an infinity or NaN, s below 0 NaN.
void NegativePower(const float* s, int64_t n, float beta, float* y);

// sums[c][i] = sum of x[c'][i] over |c' - c| <= half, for `channels` rows of `width` floats. The sum runs along the
// channels, in doubles: a term that leaves it leaves no rounding error behind. `running` has `width` values.
void SumAcross(const float* x, int64_t channels, int64_t width, int64_t half, double* running, float* sums);

// sums[y][x] = sum of image[y'][x'] over |y' - y| <= half and |x' - x| <= half, within the image [height, width].
// `column` has `width` values.
void SumWithin(const float* image, int64_t height, int64_t width, int64_t half, float* column, float* sums);

}  // namespace samovar
