// Snapshots that are exported to a directory, and jobs that begin from them on other numbers of servers.

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/server/test_worker.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr int kIterations = 60;

v1::JobSpec SpecOf(uint32_t servers, const std::string& export_to) {
  v1::JobSpec spec = MakeSpec(kIterations);
  spec.set_servers(servers);
  spec.set_export_snapshots(export_to);
  spec.mutable_solver()->set_snapshot(20);
  return spec;
}

v1::JobSpec SpecFrom(const std::string& snapshot, uint32_t servers) {
  v1::JobSpec spec = SpecOf(servers, "");
  spec.mutable_initial_model()->set_exported_snapshot(snapshot);
  return spec;
}

std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

// Leaves a snapshot of four servers behind, and returns its directory.
std::string ExportOfFour(const TempDir& dir) {
  TestCluster cluster(dir.File("four"), 4);
  REQUIRE_OK(cluster.Submit(SpecOf(4, dir.File("exported"))));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status =
      Work(&cluster, &worker, [](const v1::JobStatus& status) { return !status.exported_snapshot().empty(); });
  REQUIRE(status.state() == v1::JOB_STATE_RUNNING);
  return status.exported_snapshot();
}

TEST_CASE("a job begins from a snapshot of four servers on any number of servers") {
  const TempDir dir;
  const std::string snapshot = ExportOfFour(dir);
  for (const int servers : {2, 3, 7}) {
    TestCluster cluster(dir.File(absl::StrCat(servers)), servers);
    REQUIRE_OK(cluster.Submit(SpecFrom(snapshot, static_cast<uint32_t>(servers))));
    TestWorker worker(cluster.coordinator());
    const v1::JobStatus status = WorkToEnd(&cluster, &worker);
    CheckComplete(status, kIterations);
    CHECK(status.resumed_from() >= 20);
    CHECK(worker.computed <= kIterations - 20);
  }
}

// Trains in steps, so that no snapshot is left out for being late.
v1::JobStatus ExportAll(TestCluster* cluster, const v1::JobSpec& spec, const std::vector<int>& iterations) {
  REQUIRE_OK(cluster->Submit(spec));
  TestWorker worker(cluster->coordinator());
  for (const int iteration : iterations) {
    Work(cluster, &worker, [&](const v1::JobStatus& status) {
      return status.exported_snapshot() == absl::StrCat(spec.export_snapshots(), "/lenet_iter_", iteration);
    });
  }
  const v1::JobStatus status = WorkToEnd(cluster, &worker);
  CheckComplete(status, kIterations);
  return status;
}

std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("as many exported snapshots of a run are kept as of others, and nothing else is touched") {
  const TempDir dir;
  const std::string into = dir.File("exported");
  std::filesystem::create_directories(absl::StrCat(into, "/other_iter_20"));
  std::ofstream(absl::StrCat(into, "/lenet_iter_notes")) << "mine";
  TestCluster cluster(dir.File("cluster"), 2);
  const v1::JobStatus status = ExportAll(&cluster, SpecOf(2, into), {20, 40, 60});
  CHECK(status.export_error().empty());
  CHECK(NamesIn(into) == std::set<std::string>{"lenet_iter_40", "lenet_iter_60", "lenet_iter_notes", "other_iter_20"});
  CHECK(NamesIn(absl::StrCat(into, "/lenet_iter_60")) ==
        std::set<std::string>{"manifest", "server-0-of-2.chunks", "server-1-of-2.chunks"});
}

TEST_CASE("a second run of a name does not begin where another run has exported to, which stays as it is") {
  const TempDir dir;
  const std::string into = dir.File("exported");
  TestCluster cluster(dir.File("cluster"), 2);
  ExportAll(&cluster, SpecOf(2, into), {20, 40, 60});
  const std::string manifest = ContentOf(absl::StrCat(into, "/lenet_iter_60/manifest"));
  REQUIRE_STATUS(cluster.Submit(SpecOf(2, into)), absl::StatusCode::kFailedPrecondition,
                 absl::StrCat(into, "/lenet_iter_"));
  REQUIRE_STATUS(cluster.Submit(SpecOf(2, into)), absl::StatusCode::kFailedPrecondition,
                 "another run of job \"lenet\"");
  // From iteration 40 on it would come to 60.
  v1::JobSpec again = SpecFrom(absl::StrCat(into, "/lenet_iter_40"), 2);
  again.set_export_snapshots(into);
  REQUIRE_STATUS(cluster.Submit(again), absl::StatusCode::kFailedPrecondition,
                 "lenet_iter_60 is a snapshot of another run");
  CHECK(ContentOf(absl::StrCat(into, "/lenet_iter_60/manifest")) == manifest);
  REQUIRE_OK(cluster.Submit(SpecOf(2, dir.File("elsewhere"))));
}

TEST_CASE("a run that begins from another's exported snapshot exports beside it, and removes only its own") {
  const TempDir dir;
  const std::string into = dir.File("exported");
  TestCluster cluster(dir.File("cluster"), 2);
  v1::JobSpec first = SpecOf(2, into);
  first.set_keep_snapshots(3);
  ExportAll(&cluster, first, {20, 40, 60});
  for (const char* name :
       {"/lenet_iter_60/manifest", "/lenet_iter_60/server-0-of-2.chunks", "/lenet_iter_60/server-1-of-2.chunks"}) {
    std::filesystem::remove(absl::StrCat(into, name));
  }
  v1::JobSpec from = SpecFrom(absl::StrCat(into, "/lenet_iter_40"), 2);
  from.set_export_snapshots(into);
  from.set_keep_snapshots(1);
  from.mutable_solver()->set_snapshot(10);
  const v1::JobStatus status = ExportAll(&cluster, from, {50, 60});
  CHECK(status.export_error().empty());
  CHECK(NamesIn(into) == std::set<std::string>{"lenet_iter_20", "lenet_iter_40", "lenet_iter_60"});
}

TEST_CASE("a snapshot of another run that came in the way meanwhile is not overwritten") {
  const TempDir dir;
  const std::string into = dir.File("exported");
  {
    TestCluster other(dir.File("other"), 2);
    ExportAll(&other, SpecOf(2, dir.File("others")), {20, 40, 60});
  }
  TestCluster cluster(dir.File("cluster"), 2);
  REQUIRE_OK(cluster.Submit(SpecOf(2, into)));
  std::filesystem::create_directories(into);
  std::filesystem::copy(dir.File("others/lenet_iter_60"), absl::StrCat(into, "/lenet_iter_60"),
                        std::filesystem::copy_options::recursive);
  const std::string manifest = ContentOf(absl::StrCat(into, "/lenet_iter_60/manifest"));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CheckComplete(status, kIterations);
  CHECK_THAT(status.export_error(), Catch::Contains("lenet_iter_60 is a snapshot of another run"));
  CHECK(ContentOf(absl::StrCat(into, "/lenet_iter_60/manifest")) == manifest);
}

TEST_CASE("an export that fails is shown, hurts nothing and leaves nothing behind") {
  const TempDir dir;
  TestCluster cluster(dir.File("cluster"), 2);
  REQUIRE_OK(cluster.Submit(SpecOf(2, dir.File("file"))));
  std::ofstream(dir.File("file")) << "no directory";
  // Had it been there before, the job would have been refused.
  v1::JobSpec other = SpecOf(2, dir.File("file"));
  other.set_job_id("other");
  REQUIRE_STATUS(cluster.Submit(other), absl::StatusCode::kFailedPrecondition, "cannot list " + dir.File("file"));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status = WorkToEnd(&cluster, &worker);
  CheckComplete(status, kIterations);
  CHECK(status.snapshot_error().empty());
  CHECK(status.exported_snapshot().empty());
  CHECK(status.failed_export() == kIterations);
  CHECK_THAT(status.export_error(), Catch::Contains("snapshot at iteration 60") && Catch::Contains(dir.File("file")));
}

TEST_CASE("a snapshot that cannot be read fails the job that was to begin from it, and is named") {
  const TempDir dir;
  const std::string snapshot = ExportOfFour(dir);
  const std::string file = absl::StrCat(snapshot, "/server-3-of-4.chunks");
  v1::JobSpec spec = SpecFrom(snapshot, 2);
  std::string named = file;
  SECTION("cut") { std::filesystem::resize_file(file, 1000); }
  SECTION("missing") { std::filesystem::remove(file); }
  SECTION("without manifest") {
    std::filesystem::remove(absl::StrCat(snapshot, "/manifest"));
    named = "it has no manifest";
  }
  SECTION("of another chunk size") {
    spec.set_chunk_elements(8192);
    named = "has chunks of 4096 floats, the job of 8192";
  }
  SECTION("of another solver") {
    spec.mutable_solver()->set_type("Adam");
    named = "a solver of type SGD, this one is Adam";
  }
  TestCluster cluster(dir.File("two"), 2);
  REQUIRE_OK(cluster.Submit(spec));
  const v1::JobStatus status = cluster.AwaitEnd("lenet");
  CHECK(status.state() == v1::JOB_STATE_FAILED);
  CHECK_THAT(status.cause(), Catch::Contains(named));
}

TEST_CASE("a job that begins from an exported snapshot says which, and of which chunk size it is") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 1);
  v1::JobSpec spec = SpecFrom("relative/path", 1);
  REQUIRE_STATUS(cluster.Submit(spec), absl::StatusCode::kInvalidArgument, "absolute paths");
  spec = SpecFrom("/a/path", 1);
  spec.clear_chunk_elements();
  REQUIRE_STATUS(cluster.Submit(spec), absl::StatusCode::kInvalidArgument, "goes with chunk_elements");
  REQUIRE_STATUS(cluster.Submit(SpecOf(1, "relative/path")), absl::StatusCode::kInvalidArgument, "absolute paths");
}

}  // namespace
}  // namespace samovar
