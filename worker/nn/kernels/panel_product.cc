#include "worker/nn/kernels/panel_product.h"

#include <algorithm>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/tile_kernel.h"

namespace samovar {
namespace {

// The part of B that is gone over again and again stays in the second-level cache.
constexpr int64_t kBlockFloats = 32 << 10;
constexpr int64_t kLeastDepth = 256, kMostDepth = 1024;

constexpr int64_t kNoOffset = 0;

// A product whose sums are as long as a block is deep.
TileProduct BlockOf(const Coefficients& a, const float* b, int64_t b_stride, int64_t depth, float* c, int64_t c_stride,
                    bool add) {
  TileProduct block;
  block.a = a.data;
  block.a_rows = &kNoOffset;
  block.a_step = a.depth_stride;
  block.a_tile = a.row_stride;
  block.b = b;
  block.b_step = b_stride;
  block.rows = 1;
  block.depth = depth;
  block.c = c;
  block.c_tile = c_stride;
  block.add = add;
  return block;
}

// All whole packets of columns.
void WholePackets(TileProduct block, int64_t rows, int64_t columns) {
  for (int64_t left = columns / kPacketSize; left > 0;) {
    const int64_t packets = TilePackets(left);
    RunTiles(block, rows, packets);
    block.b += packets * kPacketSize;
    block.c += packets * kPacketSize;
    left -= packets;
  }
}

// The last columns, fewer than a packet, by way of packets of their own.
void RestOfColumns(TileProduct block, int64_t rows, int64_t begin, int64_t count) {
  float b[kMostDepth * kPacketSize];
  for (int64_t k = 0; k < block.depth; ++k) {
    float* const to = b + k * kPacketSize;
    std::copy_n(block.b + k * block.b_step + begin, count, to);
    std::fill(to + count, to + kPacketSize, 0.0f);
  }
  constexpr int64_t kRows = 8;
  float c[kRows * kPacketSize] = {};
  float* const out = block.c + begin;
  const int64_t out_stride = block.c_tile;
  block.b = b;
  block.b_step = kPacketSize;
  block.c = c;
  block.c_tile = kPacketSize;
  for (int64_t row = 0; row < rows; row += kRows, block.a += kRows * block.a_tile) {
    const int64_t here = std::min(kRows, rows - row);
    for (int64_t r = 0; r < here; ++r) std::copy_n(out + (row + r) * out_stride, count, c + r * kPacketSize);
    RunTiles(block, here, 1);
    for (int64_t r = 0; r < here; ++r) std::copy_n(c + r * kPacketSize, count, out + (row + r) * out_stride);
  }
}

}  // namespace

void PanelProduct(const ProductSize& size, const Coefficients& a, const float* b, int64_t b_stride, float* c,
                  int64_t c_stride, bool add) {
  if (size.rows == 0 || size.cols == 0) return;
  const int64_t most = std::clamp(kBlockFloats / size.cols, kLeastDepth, kMostDepth);
  const int64_t whole = size.cols / kPacketSize * kPacketSize;
  for (int64_t k = 0; k == 0 || k < size.depth; k += most) {
    const Coefficients here = {a.data + k * a.depth_stride, a.row_stride, a.depth_stride};
    const TileProduct block =
        BlockOf(here, b + k * b_stride, b_stride, std::min(most, size.depth - k), c, c_stride, add || k > 0);
    WholePackets(block, size.rows, whole);
    if (whole < size.cols) RestOfColumns(block, size.rows, whole, size.cols - whole);
  }
}

}  // namespace samovar
