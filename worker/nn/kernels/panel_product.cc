#include "worker/nn/kernels/panel_product.h"

#include <algorithm>
#include <cstdint>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/tile_kernel.h"

namespace samovar {
namespace {

// The part of B that is gone over again and again stays in the second-level cache.
constexpr int64_t kBlockFloats = 32 << 10;
constexpr int64_t kLeastDepth = 256, kMostDepth = 1024;

constexpr int64_t kNoOffset = 0;

}  // namespace

void AddPanelProduct(const ProductSize& size, const float* a, const float* b, float* c) {
  if (size.rows == 0 || size.cols == 0) return;
  const int64_t most = std::clamp(kBlockFloats / size.cols, kLeastDepth, kMostDepth);
  for (int64_t k = 0; k < size.depth; k += most) {
    TileProduct product;
    product.a = a + k;
    product.a_rows = &kNoOffset;
    product.a_tile = size.depth;
    product.b_step = size.cols;
    product.rows = 1;
    product.depth = std::min(most, size.depth - k);
    product.c_tile = size.cols;
    product.add = true;
    ForEachTileBlock(size.cols, [&](const TileBlock& columns) {
      product.b = b + k * size.cols + columns.begin;
      product.c = c + columns.begin;
      RunTiles(product, size.rows, columns);
    });
  }
}

}  // namespace samovar
