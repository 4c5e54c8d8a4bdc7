// The matrix product at the bottom of convolution: small enough pieces of the result to stay in registers while they
// are summed, read where the operands lie instead of from copies.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/packet.h"

namespace samovar {

// c[m][n] = bias[n] + sum over r < rows, k < depth, in this order, of
//           a[a_rows[r] + k * a_step + m * a_tile] * b[r * b_row + k * b_step + n]
// where n runs over a block of packets, and c[m] is c + m * c_tile.
struct TileProduct {
  const float* a = nullptr;
  const int64_t* a_rows = nullptr;
  int64_t a_step = 1;
  int64_t a_tile = 1;
  const float* b = nullptr;
  int64_t b_row = 0;
  int64_t b_step = 0;
  int64_t rows = 0;
  int64_t depth = 0;
  float* c = nullptr;
  int64_t c_tile = 0;
  // Null: zero.
  const float* bias = nullptr;
  // Begins with the values in c instead of the bias.
  bool add = false;
};

// Packets of n that are computed together.
struct TileBlock {
  // The first n, a multiple of a packet's size.
  int64_t begin;
  // 1 to 3.
  int64_t packets;
  // The upper half of its last packet holds no values: zeros if they are not added to, else what was there.
  bool half;

  int64_t width() const { return packets * kPacketSize; }
};

// The next block of n < count, from the multiple `begin` of a packet's size on: such that blocks make good use of the
// registers.
TileBlock NextTileBlock(int64_t begin, int64_t count);

// body(block) for the blocks of n < count.
template <typename Body>
void ForEachTileBlock(int64_t count, Body body) {
  for (int64_t begin = 0; begin < count;) {
    const TileBlock block = NextTileBlock(begin, count);
    body(block);
    begin += block.width();
  }
}

// The product for m < count, and the n of a block; b, bias and c are those of its first n.
void RunTiles(const TileProduct& product, int64_t count, const TileBlock& block);

}  // namespace samovar
