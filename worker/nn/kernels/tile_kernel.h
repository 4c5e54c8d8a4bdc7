// The matrix product at the bottom of convolution: small enough pieces of the result to stay in registers while they
// are summed, read where the operands lie instead of from copies.
#pragma once

#include <cstdint>

namespace samovar {

// c[m][n] = bias[n] + sum over r < rows, k < depth, in this order, of
//           a[a_rows[r] + k * a_step + m * a_tile] * b[r * b_row + k * b_step + n]
// where n runs over `packets` packets, and c[m] is c + m * c_tile.
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

// Packets of the next block of a result that has `packets` left: 1 to 3, so that blocks make good use of the registers.
int64_t TilePackets(int64_t packets);

// The product for m < count. REQUIRES: 1 <= packets <= 3
void RunTiles(const TileProduct& product, int64_t count, int64_t packets);

}  // namespace samovar
