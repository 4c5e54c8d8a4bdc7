#include "worker/nn/kernels/tile_kernel.h"

#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

// Rows of a tile by its packets: at most 12 sums, the packets of b and one value of a fit into 16 registers. Eight sums
// hide the latency of FMA.
constexpr int kMostRows[4] = {0, 8, 6, 4};

// Tiles of M rows and N packets, the last of them half if so, for `tiles` * M values of m.
template <int M, int N, bool half>
void Tiles(const TileProduct& p, int64_t first, int64_t tiles) {
  using Eigen::internal::ploadu, Eigen::internal::pmadd, Eigen::internal::pset1, Eigen::internal::pstoreu;
  constexpr int kWhole = half ? N - 1 : N;
  constexpr int64_t kHalf = kWhole * kPacketSize;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const float* const a_tile = p.a + (first + tile * M) * p.a_tile;
    float* const c_tile = p.c + (first + tile * M) * p.c_tile;
    Packet sum[M][N];
    HalfPacket half_sum[M];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const float* const begin = p.add ? c_tile + m * p.c_tile : p.bias;
#pragma GCC unroll 3
      for (int n = 0; n < kWhole; ++n) sum[m][n] = begin != nullptr ? Load(begin + n * kPacketSize) : Broadcast(0);
      if constexpr (half) half_sum[m] = begin != nullptr ? ploadu<HalfPacket>(begin + kHalf) : pset1<HalfPacket>(0);
    }
    for (int64_t r = 0; r < p.rows; ++r) {
      const float* a = a_tile + p.a_rows[r];
      const float* b = p.b + r * p.b_row;
      for (int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_step) {
        Packet right[N];
        HalfPacket half_right;
#pragma GCC unroll 3
        for (int n = 0; n < kWhole; ++n) right[n] = Load(b + n * kPacketSize);
        if constexpr (half) half_right = ploadu<HalfPacket>(b + kHalf);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
          const float left = a[m * p.a_tile];
#pragma GCC unroll 3
          for (int n = 0; n < kWhole; ++n) sum[m][n] = MulAdd(Broadcast(left), right[n], sum[m][n]);
          if constexpr (half) half_sum[m] = pmadd(pset1<HalfPacket>(left), half_right, half_sum[m]);
        }
      }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      float* const c = c_tile + m * p.c_tile;
#pragma GCC unroll 3
      for (int n = 0; n < kWhole; ++n) Store(c + n * kPacketSize, sum[m][n]);
      if constexpr (half) {
        pstoreu(c + kHalf, half_sum[m]);
        if (!p.add) pstoreu(c + kHalf + kHalfPacketSize, pset1<HalfPacket>(0));
      }
    }
  }
}

using TilesFunction = void (*)(const TileProduct&, int64_t, int64_t);
// By the packets of a row, and the rows.
template <bool half>
constexpr TilesFunction kTiles[4][9] = {
    {},
    {nullptr, Tiles<1, 1, half>, Tiles<2, 1, half>, Tiles<3, 1, half>, Tiles<4, 1, half>, Tiles<5, 1, half>,
     Tiles<6, 1, half>, Tiles<7, 1, half>, Tiles<8, 1, half>},
    {nullptr, Tiles<1, 2, half>, Tiles<2, 2, half>, Tiles<3, 2, half>, Tiles<4, 2, half>, Tiles<5, 2, half>,
     Tiles<6, 2, half>},
    {nullptr, Tiles<1, 3, half>, Tiles<2, 3, half>, Tiles<3, 3, half>, Tiles<4, 3, half>},
};
constexpr bool kHasHalves = kHalfPacketSize < kPacketSize;

}  // namespace

TileBlock NextTileBlock(int64_t begin, int64_t count) {
  const int64_t left = PacketsFor(count - begin);
  const int64_t packets = left == 1 ? 1 : 2 + left % 2;
  return {begin, packets, kHasHalves && packets * kPacketSize - (count - begin) >= kHalfPacketSize};
}

void RunTiles(const TileProduct& product, int64_t count, const TileBlock& block) {
  if (count == 0) return;
  const TilesFunction* const tiles_of = (block.half ? kTiles<kHasHalves> : kTiles<false>)[block.packets];
  // Tiles of two sizes that differ by one, rather than a small rest.
  const int64_t most = kMostRows[block.packets];
  const int64_t tiles = (count + most - 1) / most;
  const int64_t size = count / tiles;
  const int64_t larger = count % tiles;
  if (larger > 0) tiles_of[size + 1](product, 0, larger);
  tiles_of[size](product, larger * (size + 1), tiles - larger);
}

}  // namespace samovar
