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
    TileProduct block;
    block.a = a + k;
    block.a_rows = &kNoOffset;
    block.a_tile = size.depth;
    block.b = b + k * size.cols;
    block.b_step = size.cols;
    block.rows = 1;
    block.depth = std::min(most, size.depth - k);
    block.c = c;
    block.c_tile = size.cols;
    block.add = true;
    for (int64_t left = PacketsFor(size.cols); left > 0;) {
      const int64_t packets = TilePackets(left);
      RunTiles(block, size.rows, packets);
      block.b += packets * kPacketSize;
      block.c += packets * kPacketSize;
      left -= packets;
    }
  }
}

}  // namespace samovar
