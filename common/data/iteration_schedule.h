// IterationSchedule tells which records an iteration reads: a pure function of (options, t), without state.
//
// Positions 0 ... records-1 are cut into partitions (partition_cut.h). Each partition is an endless stream: its rounds
// one after the other, each a permutation of the partition keyed by (seed, round, partition). Blocks of `block`
// iterations are dealt to partitions: iteration t, in block b = t / block, reads the next batch_size records of the
// stream of partition
//     (b mod records) mod partitions,
// which in every `records` blocks deals each partition exactly as many as it has records. A batch may span rounds,
// or several of them: no record is lost at a round's end and no batch is short.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data/partition_cut.h"

namespace samovar {

class IterationSchedule {
 public:
  struct Options {
    uint64_t records = 0;     // 1 to 2^32
    uint32_t batch_size = 0;  // at least 1
    uint32_t partitions = 1;  // 1 to records
    uint64_t seed = 0;
    uint32_t block = 1;  // 1 to kMaxBlock
  };
  static constexpr uint32_t kMaxBlock = 1 << 16;

  // INVALID_ARGUMENT: an option is out of its range.
  static absl::StatusOr<IterationSchedule> Create(const Options& options);

  // O(1).
  uint32_t PartitionOf(uint64_t t) const;
  // Replaces the contents with the positions of iteration t's records, in order. O(batch_size).
  void RecordsOf(uint64_t t, std::vector<uint64_t>* positions) const;

  // The first position of a partition, and the number of its records. REQUIRES: partition < options().partitions
  uint64_t PartitionBegin(uint32_t partition) const { return cut_.Begin(partition); }
  uint64_t PartitionSize(uint32_t partition) const { return cut_.Size(partition); }

  const Options& options() const { return options_; }

 private:
  explicit IterationSchedule(const Options& options) : options_(options), cut_{options.records, options.partitions} {}

  Options options_;
  PartitionCut cut_;
};

}  // namespace samovar
