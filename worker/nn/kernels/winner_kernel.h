// Weighted sums of rows: the gradients behind a max pool, where few outputs have a gradient and a sum over these is all
// there is.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/nn/kernels/packet.h"

namespace samovar {

// Part of a row, whose sums fit into registers: `packets` packets, or halves of packets, from `first` on of each of
// `runs` runs from `run` on. A row consists of runs that lie apart.
struct RowBlock {
  bool halves;
  int64_t run;
  int64_t runs;
  int64_t first;
  int64_t packets;
};

// The blocks of a row of `runs` runs of `length` floats. Halves of packets are faster where rows begin anywhere in a
// cache line.
std::vector<RowBlock> CutRow(int64_t runs, int64_t length, bool halves);

// For each run r and place i of the block:
//   to[to_runs[r] + i] += sum over k < terms, in order, of weights[k] * from[offsets[k] + from_runs[r] + i]
// Whole packets, or halves, are read and written: floats behind a shorter run take part, so let them be zero, or
// unused.
void AddWeightedRows(const RowBlock& block, const float* weights, const int32_t* offsets, int64_t terms,
                     const float* from, const int64_t* from_runs, float* to, const int64_t* to_runs);

}  // namespace samovar
