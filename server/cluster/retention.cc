#include "server/cluster/retention.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace samovar {
namespace {

constexpr uint32_t kDefaultKeep = 2;

bool Holds(const std::vector<v1::SnapshotInfo>& snapshots, const v1::SnapshotInfo& wanted, size_t share,
           size_t servers) {
  return std::any_of(snapshots.begin(), snapshots.end(), [&](const v1::SnapshotInfo& info) {
    return info.run() == wanted.run() && info.iteration() == wanted.iteration() &&
           info.chunk_elements() == wanted.chunk_elements() && info.servers() == servers && info.share() == share;
  });
}

std::set<SnapshotId> Complete(const std::vector<std::vector<v1::SnapshotInfo>>& held) {
  std::set<SnapshotId> complete;
  if (held.empty()) return complete;
  for (const v1::SnapshotInfo& info : held[0]) {
    bool everywhere = true;
    for (size_t share = 0; share < held.size(); ++share)
      everywhere = everywhere && Holds(held[share], info, share, held.size());
    if (everywhere) complete.emplace(info.run(), info.iteration());
  }
  return complete;
}

}  // namespace

uint32_t KeptSnapshots(const v1::JobSpec& spec) {
  return spec.keep_snapshots() == 0 ? kDefaultKeep : spec.keep_snapshots();
}

std::set<uint64_t> CompleteSnapshots(const std::vector<std::vector<v1::SnapshotInfo>>& held, uint64_t run) {
  std::set<uint64_t> iterations;
  for (const auto& [of_run, iteration] : Complete(held)) {
    if (of_run == run) iterations.insert(iteration);
  }
  return iterations;
}

std::set<SnapshotId> SnapshotsToKeep(const std::vector<std::vector<v1::SnapshotInfo>>& held,
                                     const Retention& retention) {
  const std::set<SnapshotId> complete = Complete(held);
  // (whether it is of this run, iteration, run)
  std::vector<std::tuple<bool, uint64_t, uint64_t>> order;
  for (const auto& [run, iteration] : complete) order.emplace_back(run == retention.run, iteration, run);
  std::sort(order.rbegin(), order.rend());
  std::set<SnapshotId> keep;
  for (size_t i = 0; i < order.size() && i < retention.keep; ++i)
    keep.emplace(std::get<2>(order[i]), std::get<1>(order[i]));
  for (uint64_t iteration : retention.wanted) keep.emplace(retention.run, iteration);

  const bool has_complete = !order.empty() && std::get<0>(order[0]);
  const uint64_t newest = has_complete ? std::get<1>(order[0]) : 0;
  for (const std::vector<v1::SnapshotInfo>& snapshots : held) {
    uint64_t ahead = newest;
    for (const v1::SnapshotInfo& info : snapshots) {
      if (info.run() == retention.run) {
        ahead = std::max(ahead, info.iteration());
      } else if (!has_complete) {
        keep.emplace(info.run(), info.iteration());
      }
    }
    keep.emplace(retention.run, ahead);
  }
  return keep;
}

}  // namespace samovar
