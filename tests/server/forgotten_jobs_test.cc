// The fate of the snapshots of jobs that have ended.

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "tests/server/test_worker.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Until it has succeeded.
void Run(TestCluster* cluster, const v1::JobSpec& spec) {
  REQUIRE_OK(cluster->Submit(spec));
  TestWorker worker(cluster->coordinator());
  const v1::JobStatus last = WorkToEnd(cluster, &worker, spec.job_id());
  INFO(last.ShortDebugString());
  REQUIRE(last.state() == v1::JOB_STATE_SUCCEEDED);
}

// One job after the other; each ends with a snapshot.
void RunToEnd(TestCluster* cluster, const std::string& id, uint32_t servers) {
  v1::JobSpec spec = MakeSpec(10);
  spec.set_job_id(id);
  spec.set_servers(servers);
  Run(cluster, spec);
}

// What is in a directory.
std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

// The job's directory below that of the cluster's exported snapshots; empty: it has none. It has one at most.
std::string ExportsOf(const std::string& job, const std::string& exports) {
  std::set<std::string> names = NamesIn(exports);
  std::erase_if(names, [&](const std::string& name) { return !absl::StartsWith(name, absl::StrCat(job, "-")); });
  REQUIRE(names.size() <= 1);
  return names.empty() ? "" : absl::StrCat(exports, "/", *names.begin());
}

void AwaitGone(const std::string& directory) {
  const absl::Time deadline = SteadyNow() + absl::Seconds(60);
  while (std::filesystem::exists(directory) && SteadyNow() < deadline) std::this_thread::yield();
}

// Its directory is gone.
void AwaitGoneFrom(const std::string& job, const std::string& exports) {
  const std::string directory = ExportsOf(job, exports);
  if (!directory.empty()) AwaitGone(directory);
}

// The jobs that the server has something of on its disk.
std::set<std::string> JobsAt(const std::string& server) {
  const auto stub = v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(30));
  context.set_wait_for_ready(true);
  v1::ListSnapshotsResponse response;
  REQUIRE_OK(FromGrpcStatus(stub->ListSnapshots(&context, v1::ListSnapshotsRequest(), &response)));
  std::set<std::string> jobs;
  for (const v1::SnapshotInfo& info : response.snapshots()) jobs.insert(info.job_id());
  for (const v1::SnapshotInfo& info : response.last_shares()) jobs.insert(info.job_id());
  return jobs;
}

// The server's snapshots when it has none of that job any more, or after some time.
std::set<std::string> AwaitGone(const std::string& server, const std::string& job) {
  const absl::Time deadline = SteadyNow() + absl::Seconds(60);
  std::set<std::string> jobs = JobsAt(server);
  while (jobs.contains(job) && SteadyNow() < deadline) jobs = JobsAt(server);
  return jobs;
}

TEST_CASE("a job that is forgotten loses its snapshots at all servers, also at one that was away then") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/1);
  for (const char* id : {"first", "second"}) RunToEnd(&cluster, id, 2);
  CHECK(JobsAt(cluster.address(1)) == std::set<std::string>{"first", "second"});
  cluster.Stop(1);
  RunToEnd(&cluster, "third", 1);
  CHECK(AwaitGone(cluster.address(0), "first") == std::set<std::string>{"second", "third"});
  SECTION("the coordinator is the same") {}
  SECTION("the coordinator was started again since") {
    cluster.Stop(0);
    cluster.Start(0);
  }
  cluster.Start(1);
  CHECK(AwaitGone(cluster.address(1), "first") == std::set<std::string>{"second"});
}

TEST_CASE("snapshots of a job that the coordinator does not know stay until an operator has it forgotten") {
  const TempDir dir;
  {
    TestCluster cluster(dir.path(), 2);
    RunToEnd(&cluster, "mine", 2);
    cluster.Stop(1);
  }
  TestCluster cluster(dir.path(), 2);
  RunToEnd(&cluster, "other", 2);
  CHECK(JobsAt(cluster.address(1)) == std::set<std::string>{"mine", "other"});
  REQUIRE_OK(cluster.Forget("other"));
  for (const size_t server : {0, 1})
    CHECK(AwaitGone(cluster.address(server), "other") == std::set<std::string>{"mine"});
  REQUIRE_STATUS(cluster.Forget("mime"), absl::StatusCode::kNotFound, "there is no job \"mime\"");
  REQUIRE_OK(cluster.Forget("mine"));
  for (const size_t server : {0, 1}) CHECK(AwaitGone(cluster.address(server), "mine").empty());
  REQUIRE_STATUS(cluster.Forget("mine"), absl::StatusCode::kNotFound, "there is no job");
}

TEST_CASE("what is left of a forgotten job stays when its name is a job's again") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2, /*keeps_jobs=*/true);
  for (const char* id : {"again", "gone"}) RunToEnd(&cluster, id, 2);
  cluster.Stop(1);
  for (const char* id : {"again", "gone"}) REQUIRE_OK(cluster.Forget(id));
  CHECK_FALSE(AwaitGone(cluster.address(0), "again").contains("again"));
  RunToEnd(&cluster, "again", 1);
  cluster.Stop(0);
  cluster.Start(0);
  cluster.Start(1);
  CHECK(AwaitGone(cluster.address(1), "gone") == std::set<std::string>{"again"});
  CHECK(AwaitGone(cluster.address(0), "gone") == std::set<std::string>{"again"});
}

TEST_CASE("a job that names no place for its snapshots has a directory in the cluster's own until it is forgotten") {
  const TempDir dir;
  const std::string exports = dir.File("exports");
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4, exports);
  for (const char* id : {"first", "second"}) RunToEnd(&cluster, id, 2);
  const std::string first = ExportsOf("first", exports);
  const std::string second = ExportsOf("second", exports);
  CHECK(NamesIn(first) == std::set<std::string>{"first_iter_10"});
  CHECK(NamesIn(second) == std::set<std::string>{"second_iter_10"});
  // Somebody's own file, which stays.
  std::ofstream(absl::StrCat(second, "/note")) << "mine";

  SECTION("a new run of its name has another directory, and the former one goes") {
    RunToEnd(&cluster, "first", 2);
    AwaitGone(first);
    const std::string again = ExportsOf("first", exports);
    CHECK(again != first);
    CHECK(NamesIn(again) == std::set<std::string>{"first_iter_10"});
  }
  SECTION("a job that goes on with it keeps its directory") {
    v1::JobSpec spec = MakeSpec(20);
    spec.set_job_id("first");
    spec.set_resume(true);
    Run(&cluster, spec);
    CHECK(ExportsOf("first", exports) == first);
    CHECK(NamesIn(first).contains("first_iter_20"));
  }
  SECTION("it is forgotten") { REQUIRE_OK(cluster.Forget("first")); }
  SECTION("it is forgotten, and the coordinator is started again at once") {
    REQUIRE_OK(cluster.Forget("first"));
    for (const size_t server : {1, 0}) cluster.Stop(server);
    for (const size_t server : {0, 1}) cluster.Start(server);
  }
  REQUIRE_OK(cluster.Forget("second"));
  RunToEnd(&cluster, "third", 2);
  if (!ExportsOf("first", exports).empty()) REQUIRE_OK(cluster.Forget("first"));
  AwaitGoneFrom("first", exports);
  CHECK(ExportsOf("first", exports).empty());
  AwaitGone(absl::StrCat(second, "/second_iter_10"));
  CHECK(NamesIn(second) == std::set<std::string>{"note"});
  CHECK(NamesIn(ExportsOf("third", exports)) == std::set<std::string>{"third_iter_10"});
}

TEST_CASE("exports that a known job began from stay until that one is forgotten, too") {
  const TempDir dir;
  const std::string exports = dir.File("exports");
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4, exports);
  RunToEnd(&cluster, "first", 2);
  const std::string first = ExportsOf("first", exports);
  v1::JobSpec spec = MakeSpec(20);
  // Also where it takes the former one's name.
  spec.set_job_id(GENERATE("second", "first"));
  spec.mutable_initial_model()->set_exported_snapshot(absl::StrCat(first, "/first_iter_10"));
  Run(&cluster, spec);
  if (spec.job_id() == "second") REQUIRE_OK(cluster.Forget("first"));
  SECTION("the coordinator is the same") {}
  SECTION("the coordinator was started again since") {
    for (const size_t server : {1, 0}) cluster.Stop(server);
    for (const size_t server : {0, 1}) cluster.Start(server);
  }
  // Another job's are removed in the meantime.
  RunToEnd(&cluster, "third", 2);
  REQUIRE_OK(cluster.Forget("third"));
  AwaitGoneFrom("third", exports);
  CHECK(NamesIn(first) == std::set<std::string>{"first_iter_10"});
  REQUIRE_OK(cluster.Forget(spec.job_id()));
  AwaitGone(first);
  CHECK_FALSE(std::filesystem::exists(first));
}

TEST_CASE("exports of a job that the coordinator began without go when an operator has it forgotten") {
  const TempDir dir;
  const std::string exports = dir.File("exports");
  {
    TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4, exports);
    for (const char* id : {"first", "second"}) RunToEnd(&cluster, id, 2);
    cluster.Stop(1);
  }
  const std::string first = ExportsOf("first", exports);
  const std::string second = ExportsOf("second", exports);
  // Another cluster's, of the same name.
  const std::string other = absl::StrCat(exports, "/first-0000000000000007");
  std::filesystem::create_directories(absl::StrCat(other, "/first_iter_10"));
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/false, absl::Minutes(10), /*keep_ended_jobs=*/4, exports);
  REQUIRE_OK(cluster.Forget("first"));
  AwaitGone(first);
  CHECK_FALSE(std::filesystem::exists(first));
  CHECK(std::filesystem::exists(absl::StrCat(second, "/second_iter_10/manifest")));
  CHECK(std::filesystem::exists(absl::StrCat(other, "/first_iter_10")));
}

TEST_CASE("a resumed job that exports elsewhere keeps its former exports until it has a whole snapshot there") {
  const TempDir dir;
  const std::string exports = dir.File("exports");
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4, exports);
  for (const char* id : {"first", "other"}) RunToEnd(&cluster, id, 2);
  const std::string first = ExportsOf("first", exports);
  v1::JobSpec spec = MakeSpec(20);
  spec.set_job_id("first");
  spec.set_resume(true);
  spec.set_export_snapshots(dir.File("own"));
  REQUIRE_OK(cluster.Submit(spec));
  SECTION("the coordinator is the same") {}
  SECTION("the coordinator was started again since") {
    for (const size_t server : {1, 0}) cluster.Stop(server);
    for (const size_t server : {0, 1}) cluster.Start(server);
  }
  // Another job's, which are looked at after these, are removed in the meantime.
  REQUIRE_OK(cluster.Forget("other"));
  AwaitGoneFrom("other", exports);
  CHECK(NamesIn(first) == std::set<std::string>{"first_iter_10"});
  TestWorker worker(cluster.coordinator());
  CHECK(WorkToEnd(&cluster, &worker, "first").state() == v1::JOB_STATE_SUCCEEDED);
  AwaitGone(first);
  CHECK_FALSE(std::filesystem::exists(first));
  CHECK(NamesIn(dir.File("own")) == std::set<std::string>{"first_iter_20"});
}

TEST_CASE("files of others in a forgotten job's directory stay, and keep no other directory") {
  const TempDir dir;
  const std::string exports = dir.File("exports");
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4, exports);
  for (const char* id : {"first", "second"}) RunToEnd(&cluster, id, 2);
  const std::string first = ExportsOf("first", exports);
  std::ofstream(absl::StrCat(first, "/first_iter_notes.txt")) << "mine";
  std::ofstream(absl::StrCat(first, "/first_iter_10/first_iter_10.caffemodel")) << "mine";
  std::filesystem::create_directory(absl::StrCat(first, "/other_iter_5"));
  for (const char* id : {"first", "second"}) REQUIRE_OK(cluster.Forget(id));
  AwaitGoneFrom("second", exports);
  CHECK(ExportsOf("second", exports).empty());
  CHECK(NamesIn(first) == std::set<std::string>{"first_iter_10", "first_iter_notes.txt", "other_iter_5"});
  CHECK(NamesIn(absl::StrCat(first, "/first_iter_10")) == std::set<std::string>{"first_iter_10.caffemodel"});
}

TEST_CASE("no client exports into the cluster's own place") {
  const TempDir dir;
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4,
                      dir.File("exports"));
  v1::JobSpec spec = MakeSpec(10);
  spec.set_export_snapshots(dir.File("exports/lenet-0"));
  REQUIRE_STATUS(cluster.Submit(spec), absl::StatusCode::kInvalidArgument, "name another directory");
}

TEST_CASE("a place for the cluster's snapshots that nobody can write to is refused at the start") {
  const TempDir dir;
  std::ofstream(dir.File("file")) << "x";
  Server::Options options;
  options.is_coordinator = true;
  options.state_dir = dir.File("state");
  options.snapshots = dir.File("file");
  REQUIRE_STATUS(Server::Start(options).status(), absl::StatusCode::kFailedPrecondition, "--snapshots");
}

TEST_CASE("a client does not choose what is removed with its job") {
  const TempDir dir;
  const std::string own = dir.File("own");
  TestCluster cluster(dir.File("state"), 2, /*keeps_jobs=*/true, absl::Minutes(10), /*keep_ended_jobs=*/4,
                      dir.File("exports"));
  v1::JobSpec spec = MakeSpec(10);
  spec.set_export_snapshots(own);
  spec.set_cluster_exports(true);
  Run(&cluster, spec);
  REQUIRE_OK(cluster.Forget("lenet"));
  RunToEnd(&cluster, "next", 2);
  REQUIRE_OK(cluster.Forget("next"));
  AwaitGoneFrom("next", dir.File("exports"));
  CHECK(NamesIn(own) == std::set<std::string>{"lenet_iter_10"});
}

TEST_CASE("a job that has not ended is not forgotten") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(10)));
  REQUIRE_STATUS(cluster.Forget("lenet"), absl::StatusCode::kFailedPrecondition, "has not ended; cancel it first");
}

}  // namespace
}  // namespace samovar
