// The points of exactness that a coordinator and its servers keep together, in whole clusters on loopback.
#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/leases/train_leases.h"
#include "server/snapshot/snapshot_store.h"
#include "tests/server/exactness/ask_server.h"
#include "tests/server/test_worker.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr int kIterations = 60;
constexpr uint64_t kSnapshot = 20;
constexpr uint32_t kChunks = 5;

v1::JobSpec SpecWithSnapshots() {
  v1::JobSpec spec = MakeSpec(kIterations);
  spec.mutable_solver()->set_snapshot(static_cast<int>(kSnapshot));
  spec.set_keep_snapshots(10);
  return spec;
}

// Lets the worker work until the job's status is such.
void WorkUntil(TestCluster* cluster, TestWorker* worker, const std::function<bool(const v1::JobStatus&)>& until) {
  std::atomic<bool> there = false;
  std::thread watcher([&] {
    cluster->Await("lenet", until);
    there = true;
  });
  worker->WorkUntil([&] { return there.load(); });
  watcher.join();
}

v1::JobStatus RunToEnd(TestCluster* cluster, TestWorker* worker) {
  v1::JobStatus last;
  std::atomic<bool> ended = false;
  std::thread watcher([&] {
    last = cluster->AwaitEnd("lenet");
    ended = true;
  });
  worker->WorkUntil([&] { return ended.load(); });
  watcher.join();
  return last;
}

// Every chunk holds every iteration once, in its ledger and in its weights.
void CheckExact(const v1::JobStatus& status) {
  INFO(status.ShortDebugString());
  CHECK(status.state() == v1::JOB_STATE_SUCCEEDED);
  CHECK(status.ledger().complete_chunks() == kChunks);
  REQUIRE(status.tests_size() > 0);
  CHECK(status.tests(status.tests_size() - 1).outputs(0).value() == -kIterations / 1024.0);
}

// The ledgers of all chunks in the newest snapshot that both servers have written.
std::vector<Ledger> LedgersInSnapshot(const TempDir& dir) {
  std::vector<std::unique_ptr<SnapshotStore>> stores;
  uint64_t newest = UINT64_MAX;
  for (const char* server : {"0", "1"}) {
    auto store = SnapshotStore::Open(dir.File(server) + "/snapshots");
    REQUIRE_OK(store);
    const auto snapshots = (*store)->List("lenet");
    REQUIRE_OK(snapshots);
    REQUIRE_FALSE(snapshots->empty());
    newest = std::min(newest, snapshots->back().iteration());
    stores.push_back(*std::move(store));
  }
  std::vector<Ledger> ledgers;
  for (const auto& store : stores) {
    const auto manifest = store->ReadManifest("lenet", newest);
    REQUIRE_OK(manifest);
    for (uint32_t chunk : manifest->chunks()) {
      const auto image = store->ReadChunk("lenet", newest, chunk);
      REQUIRE_OK(image);
      ledgers.push_back(image->ledger);
    }
  }
  REQUIRE(ledgers.size() == kChunks);
  return ledgers;
}

TEST_CASE(
    "exactness 1: an iteration that a worker reports as done stays open until the ledgers of all chunks hold it") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(kIterations)));
  TestWorker worker(cluster.coordinator());
  std::set<uint64_t> lost;
  worker.loses = [&](uint64_t t, size_t server) { return t % 10 == 4 && server == 1 && lost.insert(t).second; };
  const v1::JobStatus status = RunToEnd(&cluster, &worker);
  CheckExact(status);
  CHECK(lost.size() == 6);
  CHECK(worker.computed == kIterations + lost.size());
  // Three of the five chunks are at the server that had them.
  CHECK(status.ledger().counters().applied() == kIterations * kChunks);
  CHECK(status.ledger().counters().duplicates() == lost.size() * 3);
}

TEST_CASE(
    "exactness 2: of servers restored with different ledgers what is leased is the union of what their chunks lack") {
  const TempDir dir;
  {
    TestCluster cluster(dir.path(), 2);
    REQUIRE_OK(cluster.Submit(SpecWithSnapshots()));
    TestWorker worker(cluster.coordinator());
    // Each server misses others, and the worker reports them all.
    worker.loses = [](uint64_t t, size_t server) { return server == 0 ? t == 7 : t == 3 || t == 4; };
    WorkUntil(&cluster, &worker, [](const v1::JobStatus& status) { return status.snapshots_size() >= 1; });
    cluster.Stop(1);
    cluster.Stop(0);
  }
  const std::vector<Ledger> ledgers = LedgersInSnapshot(dir);
  // One server's come first, and which is chance.
  CHECK(std::set<uint64_t>{ledgers.front().watermark(), ledgers.back().watermark()} == std::set<uint64_t>{3, 7});
  uint64_t pairs = 0;
  for (const Ledger& ledger : ledgers) pairs += kIterations - ledger.size();
  const Ledger held = HeldByAll(ledgers, kIterations);
  CHECK(held.Missing(0, kSnapshot) == std::vector<IterationRange>{{3, 5}, {7, 8}});

  TestCluster cluster(dir.path(), 2);
  v1::JobSpec spec = SpecWithSnapshots();
  spec.set_resume(true);
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status = RunToEnd(&cluster, &worker);
  CheckExact(status);
  // Not all from the lowest watermark on: just what some chunk lacks, and of that each chunk takes just what it lacks.
  CHECK(worker.computed == kIterations - held.size());
  CHECK(status.ledger().counters().applied() == pairs);
  CHECK(status.ledger().counters().duplicates() == worker.computed * kChunks - pairs);
}

TEST_CASE("exactness 5: a coordinator that starts again has a higher epoch and what was leased before it is refused") {
  const TempDir dir;
  v1::JobStatus before;
  uint64_t opening = 0;
  {
    TestCluster cluster(dir.path(), 2);
    REQUIRE_OK(cluster.Submit(MakeSpec(kIterations)));
    TestWorker worker(cluster.coordinator());
    before = RunToEnd(&cluster, &worker);
    CheckExact(before);
    opening = worker.assignment().opening();
    CHECK(opening > 0);
    cluster.Stop(1);
    cluster.Stop(0);
  }
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(kIterations)));
  const v1::JobStatus status =
      cluster.Await("lenet", [](const v1::JobStatus& now) { return now.state() == v1::JOB_STATE_RUNNING; });
  REQUIRE(status.epoch() > before.epoch());
  v1::ExchangeRequest zombie;
  zombie.set_job_id("lenet");
  zombie.set_epoch(before.epoch());
  zombie.set_iteration(0);
  zombie.add_push()->set_payload(std::string(4096 * sizeof(float), 0));
  for (const std::string& server : status.servers()) {
    REQUIRE_STATUS(AskServerForError(server, zombie), absl::StatusCode::kFailedPrecondition, "is older than");
  }
  TestWorker worker(cluster.coordinator());
  CheckExact(RunToEnd(&cluster, &worker));
  CHECK(worker.assignment().opening() > opening);
}

TEST_CASE("exactness 6: how far ledgers are ahead of what a chunk lacks is in the status") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(SpecWithSnapshots()));
  TestWorker worker(cluster.coordinator());
  worker.loses = [lost = false](uint64_t t, size_t server) mutable {
    return t == 4 && server == 1 && !std::exchange(lost, true);
  };
  // Beyond the first snapshot's iteration, and not to the end, where lost iterations are found.
  worker.WorkUntil([&] { return worker.computed > kSnapshot + 2; });
  worker.Step();
  const v1::JobStatus at_snapshot =
      cluster.Await("lenet", [](const v1::JobStatus& status) { return status.ledger().beyond() > 0; });
  INFO(at_snapshot.ShortDebugString());
  CHECK(at_snapshot.ledger().watermark() == 4);
  CHECK(at_snapshot.ledger().beyond() >= kSnapshot - 5);
  CHECK(at_snapshot.ledger().beyond() <= TrainLeases::Options().window);
  const v1::JobStatus status = RunToEnd(&cluster, &worker);
  CheckExact(status);
  CHECK(status.ledger().watermark() == kIterations);
  CHECK(status.ledger().beyond() == 0);
}

TEST_CASE(
    "exactness 7: what was acknowledged and reported but is in no snapshot is computed again after servers were lost") {
  const TempDir dir;
  uint64_t computed = 0;
  {
    TestCluster cluster(dir.path(), 2);
    REQUIRE_OK(cluster.Submit(SpecWithSnapshots()));
    TestWorker worker(cluster.coordinator());
    // Beyond the first snapshot's iteration. One more step reports all that; what it computes itself stays unreported,
    // so that the job does not end.
    worker.WorkUntil([&] { return worker.computed > kSnapshot + 2; });
    worker.Step();
    cluster.Await("lenet", [](const v1::JobStatus& status) { return status.snapshots_size() >= 1; });
    computed = worker.computed;
    cluster.Stop(1);
    cluster.Stop(0);
  }
  const Ledger held = HeldByAll(LedgersInSnapshot(dir), kIterations);

  TestCluster cluster(dir.path(), 2);
  v1::JobSpec spec = SpecWithSnapshots();
  spec.set_resume(true);
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  CheckExact(RunToEnd(&cluster, &worker));
  INFO("computed " << computed << " before, " << worker.computed << " after; the snapshot holds " << held.size());
  CHECK(worker.computed == kIterations - held.size());
  CHECK(computed + worker.computed >= kIterations);
}

}  // namespace
}  // namespace samovar
