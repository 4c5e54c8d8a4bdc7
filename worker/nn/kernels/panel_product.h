// Products of row-major matrices without packing, for factors of which one is read once: weights at a small batch. Sums
// run along the depth in one order for each value, which follows from the size alone.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/product.h"

namespace samovar {

// The first factor, whose values are read one by one: value (r, k) is data[r * row_stride + k * depth_stride].
struct Coefficients {
  const float* data;
  int64_t row_stride;
  int64_t depth_stride;
};

// C = A B, or C += A B with `add`; C [rows, cols] and B [depth, cols] have rows `c_stride` and `b_stride` floats apart.
// C overlaps no factor.
void PanelProduct(const ProductSize& size, const Coefficients& a, const float* b, int64_t b_stride, float* c,
                  int64_t c_stride, bool add);

}  // namespace samovar
