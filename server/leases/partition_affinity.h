// PartitionAffinity remembers which partitions of a job's data each worker had iterations of, and hence may have
// copied.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace samovar {

class PartitionAffinity {
 public:
  // How well a partition suits a worker; lower is better. In this order: the one that it had last, the one before that,
  // ..., one that no worker had, one that only others had.
  using Rank = size_t;

  // Partitions that are remembered of a worker: those that it had last.
  static constexpr size_t kRemembered = 32;

  // The worker is given iterations of the partition.
  void Had(uint64_t worker, uint32_t partition);
  void Forget(uint64_t worker);
  Rank RankOf(uint64_t worker, uint32_t partition) const;

 private:
  // The last one first.
  std::map<uint64_t, std::vector<uint32_t>> partitions_;
  // By partition, the workers that it is remembered of.
  std::map<uint32_t, size_t> workers_;
};

}  // namespace samovar
