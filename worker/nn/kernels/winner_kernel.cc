#include "worker/nn/kernels/winner_kernel.h"

#include <algorithm>
#include <array>
#include <utility>

namespace samovar {
namespace {

// Sums that are kept in registers beside one weight and, where FMA takes no operand from memory, one value.
constexpr int kMostSums = 13;
constexpr int kMostRuns = 5;

struct Rows {
  const float* weights;
  const int32_t* offsets;
  int64_t terms;
  const float* from;
  const int64_t* from_runs;
  float* to;
  const int64_t* to_runs;
};

template <bool kHalves>
struct Unit {
  using Type = Packet;
  static constexpr int64_t kSize = kPacketSize;
};
template <>
struct Unit<true> {
  using Type = HalfPacket;
  static constexpr int64_t kSize = kHalfPacketSize;
};

// R runs, V packets or halves of each.
template <bool kHalves, int R, int V>
void AddRows(const Rows& rows) {
  using P = Unit<kHalves>::Type;
  using Eigen::internal::ploadu, Eigen::internal::pmadd, Eigen::internal::pset1;
  constexpr int64_t kSize = Unit<kHalves>::kSize;
  P sum[R][V];
  const float* from[R];
#pragma GCC unroll 5
  for (int r = 0; r < R; ++r) {
    from[r] = rows.from + rows.from_runs[r];
#pragma GCC unroll 13
    for (int v = 0; v < V; ++v) sum[r][v] = pset1<P>(0.0f);
  }
  for (int64_t k = 0; k < rows.terms; ++k) {
    const P weight = pset1<P>(rows.weights[k]);
    const int64_t offset = rows.offsets[k];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 13
      for (int v = 0; v < V; ++v) sum[r][v] = pmadd(weight, ploadu<P>(from[r] + offset + v * kSize), sum[r][v]);
    }
  }
#pragma GCC unroll 5
  for (int r = 0; r < R; ++r) {
    float* to = rows.to + rows.to_runs[r];
#pragma GCC unroll 13
    for (int v = 0; v < V; ++v)
      Eigen::internal::pstoreu(to + v * kSize, Eigen::internal::padd(ploadu<P>(to + v * kSize), sum[r][v]));
  }
}

using RowsFunction = void (*)(const Rows&);
template <bool kHalves, int R, int V>
constexpr RowsFunction RowsOf() {
  if constexpr (R * V <= kMostSums) {
    return AddRows<kHalves, R, V>;
  } else {
    return nullptr;
  }
}
using RowsByRuns = std::array<RowsFunction, kMostRuns>;
template <bool kHalves, int V, int... R>
constexpr RowsByRuns ByRuns(std::integer_sequence<int, R...>) {
  return {RowsOf<kHalves, R + 1, V>()...};
}
template <bool kHalves, int... V>
constexpr std::array<RowsByRuns, sizeof...(V)> ByPackets(std::integer_sequence<int, V...>) {
  return {ByRuns<kHalves, V + 1>(std::make_integer_sequence<int, kMostRuns>())...};
}
// By packets - 1, runs - 1.
constexpr auto kRows = ByPackets<false>(std::make_integer_sequence<int, kMostSums>());
constexpr auto kHalfRows = ByPackets<true>(std::make_integer_sequence<int, kMostSums>());

}  // namespace

std::vector<RowBlock> CutRow(int64_t runs, int64_t length, bool halves) {
  std::vector<RowBlock> blocks;
  const int64_t size = halves ? kHalfPacketSize : kPacketSize;
  const int64_t packets = (length + size - 1) / size;
  // Long runs are cut into even parts, short ones are taken together.
  const int64_t parts = (packets + kMostSums - 1) / kMostSums;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = part * packets / parts;
    const int64_t count = (part + 1) * packets / parts - first;
    const int64_t together = std::min<int64_t>(kMostRuns, kMostSums / count);
    for (int64_t run = 0; run < runs; run += together)
      blocks.push_back({halves, run, std::min(together, runs - run), first, count});
  }
  return blocks;
}

void AddWeightedRows(const RowBlock& block, const float* weights, const int32_t* offsets, int64_t terms,
                     const float* from, const int64_t* from_runs, float* to, const int64_t* to_runs) {
  if (terms == 0) return;
  const int64_t first = block.first * (block.halves ? kHalfPacketSize : kPacketSize);
  const auto& functions = block.halves ? kHalfRows : kRows;
  functions[static_cast<size_t>(block.packets - 1)][static_cast<size_t>(block.runs - 1)](
      {weights, offsets, terms, from + first, from_runs + block.run, to + first, to_runs + block.run});
}

}  // namespace samovar
