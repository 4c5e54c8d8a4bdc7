// Products of row-major matrices that allocate nothing: Eigen's kernels, packing into memory that the caller has.
#pragma once

#include <cstdint>

namespace samovar {

// A matrix as it lies in memory, rows `stride` floats apart, or the transpose of that.
struct Factor {
  const float* data;
  int64_t stride;
  bool transposed = false;
};

inline Factor Transposed(const Factor& factor) { return {factor.data, factor.stride, !factor.transposed}; }

struct ProductSize {
  // The result's rows and columns, and the length of its sums.
  int64_t rows;
  int64_t cols;
  int64_t depth;
};

// Floats that the packed factors of a product of that size take; a multiple of 16, so that several can lie side by
// side. 0 for an empty one.
int64_t PackedFloats(const ProductSize& size);

// C += A B, with C [rows, cols], A [rows, depth], B [depth, cols]. C's rows lie `stride` floats apart and overlap no
// factor. `packed`: PackedFloats(size) floats at a cache line's boundary; their values do not matter. The order of the
// sums follows from the size alone.
void AddProduct(const ProductSize& size, const Factor& a, const Factor& b, float* c, int64_t stride, float* packed);

}  // namespace samovar
