// A product of row-major matrices without packing, for a factor that is read once: weights at a small batch. Sums run
// along the depth in one order for each value, which follows from the size alone.
#pragma once

#include "worker/nn/kernels/product.h"

namespace samovar {

// C += A B, with C [rows, cols], A [rows, depth], B [depth, cols], without gaps. C overlaps no factor. REQUIRES: cols
// is a multiple of packets
void AddPanelProduct(const ProductSize& size, const float* a, const float* b, float* c);

}  // namespace samovar
