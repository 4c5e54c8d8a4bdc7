#include "server/leases/partition_affinity.h"

#include <algorithm>

namespace samovar {

void PartitionAffinity::Had(uint64_t worker, uint32_t partition) {
  std::vector<uint32_t>& had = partitions_[worker];
  const auto known = std::find(had.begin(), had.end(), partition);
  if (known != had.end()) {
    std::rotate(had.begin(), known, known + 1);
    return;
  }
  had.insert(had.begin(), partition);
  ++workers_[partition];
  if (had.size() <= kRemembered) return;
  if (--workers_[had.back()] == 0) workers_.erase(had.back());
  had.pop_back();
}

void PartitionAffinity::Forget(uint64_t worker) {
  for (const uint32_t partition : partitions_[worker]) {
    if (--workers_[partition] == 0) workers_.erase(partition);
  }
  partitions_.erase(worker);
}

PartitionAffinity::Rank PartitionAffinity::RankOf(uint64_t worker, uint32_t partition) const {
  const auto known = partitions_.find(worker);
  if (known != partitions_.end()) {
    const auto at = std::find(known->second.begin(), known->second.end(), partition);
    if (at != known->second.end()) return static_cast<Rank>(at - known->second.begin());
  }
  return workers_.contains(partition) ? kRemembered + 1 : kRemembered;
}

}  // namespace samovar
