#include "server/cluster/retention.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kRun = 7;
using Held = std::vector<std::vector<v1::SnapshotInfo>>;
using Ids = std::set<SnapshotId>;

void Add(size_t share, uint64_t iteration, Held* held, uint64_t run = kRun) {
  v1::SnapshotInfo info;
  info.set_run(run);
  info.set_iteration(iteration);
  info.set_chunk_elements(64);
  info.set_servers(static_cast<uint32_t>(held->size()));
  info.set_share(static_cast<uint32_t>(share));
  (*held)[share].push_back(info);
}

void AddToAll(uint64_t iteration, Held* held, uint64_t run = kRun) {
  for (size_t share = 0; share < held->size(); ++share) Add(share, iteration, held, run);
}

TEST_CASE("of the snapshots that all servers hold the newest are kept") {
  Held held(2);
  for (uint64_t iteration : {100, 200, 300, 1000}) AddToAll(iteration, &held);
  CHECK(SnapshotsToKeep(held, {kRun, 2, {}}) == Ids{{kRun, 300}, {kRun, 1000}});
  CHECK(SnapshotsToKeep(held, {kRun, 9, {}}).size() == 4);
  CHECK(CompleteSnapshots(held, kRun) == std::set<uint64_t>{100, 200, 300, 1000});
}

TEST_CASE("what all servers hold stays while one of them takes nothing newer, however far the others go on") {
  Held held(2);
  AddToAll(100, &held);
  for (uint64_t iteration : {200, 300, 400, 500}) Add(0, iteration, &held);
  CHECK(SnapshotsToKeep(held, {kRun, 1, {}}) == Ids{{kRun, 100}, {kRun, 500}});
  CHECK(CompleteSnapshots(held, kRun) == std::set<uint64_t>{100});
}

TEST_CASE("a snapshot that is still wanted is kept beyond the number") {
  Held held(3);
  for (uint64_t iteration : {1, 2, 3, 4}) AddToAll(iteration, &held);
  CHECK(SnapshotsToKeep(held, {kRun, 1, {2}}) == Ids{{kRun, 2}, {kRun, 4}});
}

TEST_CASE("snapshots of an earlier run go when this run has its own at all servers, and not before") {
  Held held(2);
  for (uint64_t iteration : {1000, 2000}) AddToAll(iteration, &held, /*run=*/1);
  Add(0, 100, &held);
  CHECK(SnapshotsToKeep(held, {kRun, 2, {}}) == Ids{{1, 1000}, {1, 2000}, {kRun, 100}, {kRun, 0}});
  Add(1, 100, &held);
  CHECK(SnapshotsToKeep(held, {kRun, 2, {}}) == Ids{{1, 2000}, {kRun, 100}});
  AddToAll(200, &held);
  CHECK(SnapshotsToKeep(held, {kRun, 2, {}}) == Ids{{kRun, 100}, {kRun, 200}});
}

TEST_CASE("shares that were cut otherwise make no complete snapshot") {
  Held held(2);
  AddToAll(100, &held);
  held[1][0].set_chunk_elements(128);
  AddToAll(200, &held);
  held[1][1].set_share(0);
  CHECK(CompleteSnapshots(held, kRun).empty());
}

}  // namespace
}  // namespace samovar
