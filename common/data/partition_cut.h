// How records are cut into partitions: contiguous, of sizes that differ by one at most, larger ones first.
//
// Thread safety: immutable.
#pragma once

#include <algorithm>
#include <cstdint>

namespace samovar {

// REQUIRES: 1 <= partitions <= records
struct PartitionCut {
  uint64_t records = 1;
  uint32_t partitions = 1;

  // The first position of a partition, and the number of its records. REQUIRES: partition < partitions
  uint64_t Begin(uint32_t partition) const {
    return records / partitions * partition + std::min<uint64_t>(partition, records % partitions);
  }
  uint64_t Size(uint32_t partition) const { return records / partitions + (partition < records % partitions ? 1 : 0); }
  // The partition of a position. REQUIRES: position < records
  uint32_t Of(uint64_t position) const {
    const uint64_t smaller = records / partitions;
    const uint64_t larger_end = records % partitions * (smaller + 1);
    const uint64_t partition =
        position < larger_end ? position / (smaller + 1) : records % partitions + (position - larger_end) / smaller;
    return static_cast<uint32_t>(partition);
  }
};

}  // namespace samovar
