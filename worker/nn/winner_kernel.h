// Weighted sums of rows: the gradients behind a max pool, where few outputs have a gradient and a sum over these is all there is.
#pragma once

#include <cstdint>

#include "worker/nn/packet.h"

namespace samovar {

// Parts of a row that lie apart: part r begins at runs[r] and has `packets` packets.
struct Runs {
  int64_t count = 0;
  int64_t packets = 0;
};

// Runs that AddWeightedRows takes in one go.
int64_t RunsTogether(int64_t packets);

// For each run r: to[to_runs[r] + i] += sum over k < terms, in order, of weights[k] * from[offsets[k] + from_runs[r] + i], for i
// below runs.packets packets. Whole packets are read and written: what lies behind a shorter run takes part, so let it be zero, or
// nobody's.
void AddWeightedRows(const Runs& runs, const float* weights, const int32_t* offsets, int64_t terms, const float* from,
                     const int64_t* from_runs, float* to, const int64_t* to_runs);

}  // namespace samovar
