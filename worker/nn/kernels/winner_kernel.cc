#include "worker/nn/kernels/winner_kernel.h"

#include <algorithm>

namespace samovar {
namespace {

// Sums that are kept in registers beside one weight and, where FMA takes no operand from memory, one value.
constexpr int64_t kMostSums = 13;
constexpr int64_t kMostRuns = 5;

struct Rows {
  const float* weights;
  const int32_t* offsets;
  int64_t terms;
  const float* from;
  const int64_t* from_runs;
  float* to;
  const int64_t* to_runs;
};

// R runs, V packets of each.
template <int R, int V>
void AddRows(const Rows& rows) {
  Packet sum[R][V];
  const float* from[R];
#pragma GCC unroll 5
  for (int r = 0; r < R; ++r) {
    from[r] = rows.from + rows.from_runs[r];
#pragma GCC unroll 13
    for (int v = 0; v < V; ++v) sum[r][v] = Broadcast(0);
  }
  for (int64_t k = 0; k < rows.terms; ++k) {
    const Packet weight = Broadcast(rows.weights[k]);
    const int64_t offset = rows.offsets[k];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 13
      for (int v = 0; v < V; ++v) sum[r][v] = MulAdd(weight, Load(from[r] + offset + v * kPacketSize), sum[r][v]);
    }
  }
#pragma GCC unroll 5
  for (int r = 0; r < R; ++r) {
    float* to = rows.to + rows.to_runs[r];
#pragma GCC unroll 13
    for (int v = 0; v < V; ++v) Store(to + v * kPacketSize, Add(Load(to + v * kPacketSize), sum[r][v]));
  }
}

using RowsFunction = void (*)(const Rows&);
template <int R, int V>
constexpr RowsFunction RowsOf() {
  if constexpr (R * V <= kMostSums) {
    return AddRows<R, V>;
  } else {
    return nullptr;
  }
}
template <int V>
struct RowsTable {
  static constexpr RowsFunction kByRuns[kMostRuns + 1] = {nullptr,        RowsOf<1, V>(), RowsOf<2, V>(),
                                                          RowsOf<3, V>(), RowsOf<4, V>(), RowsOf<5, V>()};
};
constexpr const RowsFunction* kRows[kMostSums + 1] = {
    nullptr,
    RowsTable<1>::kByRuns,
    RowsTable<2>::kByRuns,
    RowsTable<3>::kByRuns,
    RowsTable<4>::kByRuns,
    RowsTable<5>::kByRuns,
    RowsTable<6>::kByRuns,
    RowsTable<7>::kByRuns,
    RowsTable<8>::kByRuns,
    RowsTable<9>::kByRuns,
    RowsTable<10>::kByRuns,
    RowsTable<11>::kByRuns,
    RowsTable<12>::kByRuns,
    RowsTable<13>::kByRuns,
};

}  // namespace

std::vector<RowBlock> CutRow(int64_t runs, int64_t packets) {
  std::vector<RowBlock> blocks;
  // Long runs are cut into even parts, short ones are taken together.
  const int64_t parts = (packets + kMostSums - 1) / kMostSums;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = part * packets / parts;
    const int64_t count = (part + 1) * packets / parts - first;
    const int64_t together = std::min(kMostRuns, kMostSums / count);
    for (int64_t run = 0; run < runs; run += together)
      blocks.push_back({run, std::min(together, runs - run), first, count});
  }
  return blocks;
}

void AddWeightedRows(const RowBlock& block, const float* weights, const int32_t* offsets, int64_t terms,
                     const float* from, const int64_t* from_runs, float* to, const int64_t* to_runs) {
  if (terms == 0) return;
  const int64_t first = block.first * kPacketSize;
  kRows[block.packets][block.runs](
      {weights, offsets, terms, from + first, from_runs + block.run, to + first, to_runs + block.run});
}

}  // namespace samovar
