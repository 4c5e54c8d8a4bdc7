#include "worker/nn/kernels/tile_kernel.h"

#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

// Rows of a tile by its packets: at most 12 sums, the packets of b and one value of a fit into 16 registers. Eight sums
// hide the latency of FMA.
constexpr int kMostRows[4] = {0, 8, 6, 4};

// Tiles of M rows and N packets, for `tiles` * M values of m.
template <int M, int N>
void Tiles(const TileProduct& p, int64_t first, int64_t tiles) {
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const float* const a_tile = p.a + (first + tile * M) * p.a_tile;
    float* const c = p.c + (first + tile * M) * p.c_tile;
    Packet sum[M][N];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 3
      for (int n = 0; n < N; ++n) {
        if (p.add) {
          sum[m][n] = Load(c + m * p.c_tile + n * kPacketSize);
        } else {
          sum[m][n] = p.bias != nullptr ? Load(p.bias + n * kPacketSize) : Broadcast(0);
        }
      }
    }
    for (int64_t r = 0; r < p.rows; ++r) {
      const float* a = a_tile + p.a_rows[r];
      const float* b = p.b + r * p.b_row;
      for (int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_step) {
        Packet right[N];
#pragma GCC unroll 3
        for (int n = 0; n < N; ++n) right[n] = Load(b + n * kPacketSize);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
          const Packet left = Broadcast(a[m * p.a_tile]);
#pragma GCC unroll 3
          for (int n = 0; n < N; ++n) sum[m][n] = MulAdd(left, right[n], sum[m][n]);
        }
      }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 3
      for (int n = 0; n < N; ++n) Store(c + m * p.c_tile + n * kPacketSize, sum[m][n]);
    }
  }
}

using TilesFunction = void (*)(const TileProduct&, int64_t, int64_t);
constexpr TilesFunction kTiles[4][9] = {
    {},
    {nullptr, Tiles<1, 1>, Tiles<2, 1>, Tiles<3, 1>, Tiles<4, 1>, Tiles<5, 1>, Tiles<6, 1>, Tiles<7, 1>, Tiles<8, 1>},
    {nullptr, Tiles<1, 2>, Tiles<2, 2>, Tiles<3, 2>, Tiles<4, 2>, Tiles<5, 2>, Tiles<6, 2>},
    {nullptr, Tiles<1, 3>, Tiles<2, 3>, Tiles<3, 3>, Tiles<4, 3>},
};

}  // namespace

int64_t TilePackets(int64_t packets) {
  if (packets == 1) return 1;
  return packets % 2 == 1 ? 3 : 2;
}

void RunTiles(const TileProduct& product, int64_t count, int64_t packets) {
  if (count == 0) return;
  // Tiles of two sizes that differ by one, rather than a small rest.
  const int64_t most = kMostRows[packets];
  const int64_t tiles = (count + most - 1) / most;
  const int64_t size = count / tiles;
  const int64_t larger = count % tiles;
  if (larger > 0) kTiles[packets][size + 1](product, 0, larger);
  kTiles[packets][size](product, larger * (size + 1), tiles - larger);
}

}  // namespace samovar
