// ChunkImage is the whole state of one chunk at one moment, which is copied, stored and restored as one.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "common/model/ledger.h"
#include "server/solver/lateness.h"

namespace samovar {

// Invariants: version == ledger.size(); each vector of state is as long as the weights, and so are the steps, unless
// empty.
struct ChunkImage {
  uint32_t chunk = 0;
  std::vector<float> weights;
  // The solver's history; as many vectors as its rule keeps.
  std::vector<std::vector<float>> state;
  Ledger ledger;
  // Iterations in the ledger, each counted whether it was skipped or not.
  uint64_t version = 0;
  // Iterations in the ledger that changed nothing, since they were skipped: the highest kMaxSkipped.
  static constexpr size_t kMaxSkipped = 1024;
  std::set<uint64_t> skipped;
  // The weights are never those that are pulled ahead.
  Lateness lateness;
};

}  // namespace samovar
