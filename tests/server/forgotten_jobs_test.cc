// The fate of the snapshots of jobs that have ended.

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "tests/server/test_cluster.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Of one job after the other; each ends with a snapshot.
void RunToEnd(TestCluster* cluster, const std::string& id, uint32_t servers) {
  v1::JobSpec spec = MakeSpec(10);
  spec.set_job_id(id);
  spec.set_servers(servers);
  REQUIRE_OK(cluster->Submit(spec));
  TestWorker worker(cluster->coordinator());
  std::atomic<bool> ended = false;
  v1::JobStatus last;
  std::thread watcher([&] {
    last = cluster->AwaitEnd(id);
    ended = true;
  });
  worker.WorkUntil([&] { return ended.load(); });
  watcher.join();
  INFO(last.ShortDebugString());
  REQUIRE(last.state() == v1::JOB_STATE_SUCCEEDED);
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

TEST_CASE("a job that has not ended is not forgotten") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(10)));
  REQUIRE_STATUS(cluster.Forget("lenet"), absl::StatusCode::kFailedPrecondition, "has not ended; cancel it first");
}

}  // namespace
}  // namespace samovar
