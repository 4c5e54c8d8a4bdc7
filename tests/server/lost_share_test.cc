// Servers that lose their disks: their shares come from snapshots that the job has exported.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/server/test_worker.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr int kIterations = 100;

v1::JobSpec SpecOf(v1::ConsistencyMode mode, const std::string& export_to) {
  v1::JobSpec spec = MakeSpec(kIterations);
  spec.set_export_snapshots(export_to);
  spec.mutable_solver()->set_snapshot(20);
  spec.mutable_consistency()->set_mode(mode);
  return spec;
}

// Until this snapshot is exported, and not to the next one: nothing is leased beyond a checkpoint before it is frozen,
// and the worker's last results are not reported.
v1::JobStatus WorkTo(TestCluster* cluster, TestWorker* worker, uint64_t iteration) {
  const std::string name = absl::StrCat("/lenet_iter_", iteration);
  worker->WorkUntil([&] { return worker->computed > iteration; });
  v1::JobStatus status = cluster->Await(
      "lenet", [&](const v1::JobStatus& status) { return absl::EndsWith(status.exported_snapshot(), name); });
  INFO(status.ShortDebugString());
  REQUIRE(status.state() == v1::JOB_STATE_RUNNING);
  return status;
}

bool Says(const v1::JobStatus& status, const std::string& text) {
  for (const std::string& notice : status.notices()) {
    if (absl::StrContains(notice, text)) return true;
  }
  return false;
}

// The server ends, and comes back with an empty state directory, on another port.
void LoseDisk(TestCluster* cluster, const TempDir& dir, size_t server) {
  cluster->Stop(server);
  std::filesystem::remove_all(dir.File(absl::StrCat("cluster/", server)));
  cluster->Start(server);
  // The worker would push to the address from before.
  const v1::JobStatus status =
      cluster->Await("lenet", [](const v1::JobStatus& status) { return status.recoveries() > 0; });
  REQUIRE(status.recoveries() > 0);
}

TEST_CASE("a server that comes back without its disk gets its share from the newest exported snapshot") {
  const auto mode = GENERATE(v1::CONSISTENCY_ASYNC, v1::CONSISTENCY_BOUNDED);
  const TempDir dir;
  TestCluster cluster(dir.File("cluster"), 2);
  const v1::JobSpec spec = SpecOf(mode, dir.File("exported"));
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  WorkTo(&cluster, &worker, 40);
  LoseDisk(&cluster, dir, 1);
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CheckComplete(status, kIterations);
  CHECK(Says(status, absl::StrCat("restored from ", spec.export_snapshots(), "/lenet_iter_")));
  // The rest was computed once, and little of it twice.
  CHECK(worker.computed < kIterations + 40);
}

TEST_CASE("an exported snapshot that is damaged is passed over for the one before, which is said") {
  const auto mode = GENERATE(v1::CONSISTENCY_ASYNC, v1::CONSISTENCY_BOUNDED);
  const TempDir dir;
  TestCluster cluster(dir.File("cluster"), 2);
  const v1::JobSpec spec = SpecOf(mode, dir.File("exported"));
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  WorkTo(&cluster, &worker, 40);
  const std::string damaged = absl::StrCat(spec.export_snapshots(), "/lenet_iter_40/server-1-of-2.chunks");
  std::filesystem::resize_file(damaged, std::filesystem::file_size(damaged) / 2);
  LoseDisk(&cluster, dir, 1);
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CheckComplete(status, kIterations);
  CHECK(Says(status, damaged));
  CHECK(Says(status, absl::StrCat("restored from ", spec.export_snapshots(), "/lenet_iter_20")));
}

TEST_CASE("a server that is lost before the first export has ended has its share computed again") {
  const auto mode = GENERATE(v1::CONSISTENCY_ASYNC, v1::CONSISTENCY_BOUNDED);
  const TempDir dir;
  TestCluster cluster(dir.File("cluster"), 2, /*keeps_jobs=*/true);
  v1::JobSpec spec = SpecOf(mode, dir.File("exported"));
  // Servers that end write what they have: no worker gets to a second snapshot meanwhile.
  constexpr uint64_t kFirst = 60;
  spec.mutable_solver()->set_snapshot(kFirst);
  REQUIRE_OK(cluster.Submit(spec));
  {
    TestWorker worker(cluster.coordinator());
    WorkTo(&cluster, &worker, kFirst);
  }
  SECTION("the coordinator lives") {
    // As if it had not been written yet.
    std::filesystem::remove_all(dir.File("exported/lenet_iter_60"));
    LoseDisk(&cluster, dir, 1);
  }
  SECTION("the coordinator was lost with it, and comes back") {
    for (const size_t server : {1, 0}) cluster.Stop(server);
    std::filesystem::remove_all(dir.File("exported/lenet_iter_60"));
    std::filesystem::remove_all(dir.File("cluster/1"));
    for (const size_t server : {0, 1}) cluster.Start(server);
  }
  TestWorker worker(cluster.coordinator());
  CheckComplete(WorkToEnd(&cluster, &worker), kIterations);
}

TEST_CASE("a snapshot of another run of the job's name is no source of a lost share") {
  const TempDir dir;
  {
    TestCluster former(dir.File("former"), 2);
    const v1::JobSpec spec = SpecOf(v1::CONSISTENCY_ASYNC, dir.File("elsewhere"));
    REQUIRE_OK(former.Submit(spec));
    TestWorker worker(former.coordinator());
    WorkTo(&former, &worker, 80);
  }
  TestCluster cluster(dir.File("cluster"), 2);
  v1::JobSpec spec = SpecOf(v1::CONSISTENCY_ASYNC, dir.File("exported"));
  REQUIRE_OK(cluster.Submit(spec));
  // It is put there when the job has begun, whose run is another.
  std::filesystem::create_directories(dir.File("exported"));
  std::filesystem::copy(dir.File("elsewhere/lenet_iter_80"), dir.File("exported/lenet_iter_80"),
                        std::filesystem::copy_options::recursive);
  TestWorker worker(cluster.coordinator());
  WorkTo(&cluster, &worker, 20);
  LoseDisk(&cluster, dir, 1);
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CHECK(!Says(status, "restored from " + dir.File("exported/lenet_iter_80")));
  INFO(status.DebugString());
  CHECK(status.ledger().complete_chunks() == 5);
}

// Ends the job, whose snapshots 20 and 40 are on the servers' disks; only that of 20 stays exported.
void CancelAt40(TestCluster* cluster, v1::JobSpec* spec) {
  TestWorker worker(cluster->coordinator());
  std::filesystem::remove_all(WorkTo(cluster, &worker, 40).exported_snapshot());
  REQUIRE_OK(cluster->Cancel("lenet"));
  cluster->AwaitEnd("lenet");
  spec->set_resume(true);
}

TEST_CASE("an ended job that is resumed takes the share that a server has lost from its exported snapshots") {
  const TempDir dir;
  // Also where the coordinator chose their place; where the user did, the resumed job is to export elsewhere.
  const auto [mode, chosen] = GENERATE(std::pair(v1::CONSISTENCY_ASYNC, true), std::pair(v1::CONSISTENCY_ASYNC, false),
                                       std::pair(v1::CONSISTENCY_BOUNDED, true));
  TestCluster cluster(dir.File("cluster"), 3, /*keeps_jobs=*/true, absl::Minutes(10), JobQueue::kMaxEndedJobs,
                      chosen ? dir.File("exported") : "");
  v1::JobSpec spec = SpecOf(mode, chosen ? "" : dir.File("exported"));
  REQUIRE_OK(cluster.Submit(spec));
  CancelAt40(&cluster, &spec);
  if (!chosen) spec.set_export_snapshots(dir.File("elsewhere"));
  cluster.Stop(1);
  SECTION("its server comes back without its disk") {
    std::filesystem::remove_all(dir.File("cluster/1"));
    cluster.Start(1);
  }
  SECTION("another server takes it") {}
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CheckComplete(status, kIterations);
  CHECK(Says(status, "restored from " + dir.File("exported")));
  CHECK(Says(status, "/lenet_iter_20"));
  CHECK(status.resumed_from() == 20);
  // In async the other server goes on from its snapshot of 40: each of its three chunks drops what it has.
  CHECK(status.ledger().counters().duplicates() == (mode == v1::CONSISTENCY_ASYNC ? 20 * 3 : 0));
  CHECK(worker.computed <= kIterations - 20 + 10);
}

TEST_CASE("an ended job whose share nothing was exported of cannot be resumed, which is said") {
  const TempDir dir;
  TestCluster cluster(dir.File("cluster"), 2, /*keeps_jobs=*/true);
  v1::JobSpec spec = SpecOf(v1::CONSISTENCY_ASYNC, dir.File("exported"));
  REQUIRE_OK(cluster.Submit(spec));
  CancelAt40(&cluster, &spec);
  cluster.Stop(1);
  std::filesystem::remove_all(dir.File("cluster/1"));
  std::filesystem::remove_all(dir.File("exported/lenet_iter_20"));
  cluster.Start(1);
  REQUIRE_OK(cluster.Submit(spec));
  const v1::JobStatus status = cluster.AwaitEnd("lenet");
  CHECK(status.state() == v1::JOB_STATE_FAILED);
  CHECK(status.cause() ==
        "no snapshot of job \"lenet\" is held by all of its 2 servers, and there is no snapshot of "
        "its run in " +
            dir.File("exported") + "; start it without --resume");
  // What the other server holds of the ended job is not forgotten.
  CHECK(std::find(status.snapshots().begin(), status.snapshots().end(), 40) != status.snapshots().end());
  CHECK(status.snapshot_details_size() == status.snapshots_size());
}

TEST_CASE("a share that nothing was exported of begins with its initial weights, and all is computed again for it") {
  const TempDir dir;
  TestCluster cluster(dir.File("cluster"), 2);
  v1::JobSpec spec = SpecOf(v1::CONSISTENCY_ASYNC, dir.File("exported"));
  spec.mutable_solver()->set_snapshot(0);
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  worker.WorkUntil([&] { return worker.computed >= 30; });
  LoseDisk(&cluster, dir, 1);
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CheckComplete(status, kIterations);
  CHECK(Says(status, "restored from initial weights"));
}

}  // namespace
}  // namespace samovar
