#include "server/server.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_replace.h"
#include "common/base/clock.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "samovar/v1/status.grpc.pb.h"
#include "server/server_identity.h"
#include "tests/server/test_worker.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

void CheckComplete(const v1::JobStatus& status) {
  INFO(status.ShortDebugString());
  CHECK(status.state() == v1::JOB_STATE_SUCCEEDED);
  CHECK(status.ledger().chunks() == 5);
  CHECK(status.ledger().complete_chunks() == 5);
  CHECK(status.ledger().iterations() == status.max_iter());
  CHECK(status.samples() == (status.max_iter() - status.resumed_from()) * 10);
}

TEST_CASE(
    "what a worker has from an earlier coordinator's lease is not taken for a result of the lease that has its id "
    "now") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(10)));
  const auto running = [](const v1::JobStatus& status) { return status.state() == v1::JOB_STATE_RUNNING; };
  const uint64_t epoch = cluster.Await("lenet", running).epoch();
  const auto stub = v1::CoordinatorService::NewStub(Dialer(RpcOptions()).Dial(cluster.coordinator()));
  const auto call = [&](auto method, const auto& request, auto response) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    REQUIRE_OK(FromGrpcStatus((*stub.*method)(&context, request, &response)));
    return response;
  };
  using Stub = v1::CoordinatorService::Stub;
  v1::HeartbeatRequest heartbeat;
  v1::JoinRequest join;
  join.set_version(Version());
  heartbeat.set_worker_id(call(&Stub::Join, join, v1::JoinResponse()).worker_id());
  v1::LeaseRequest ask;
  ask.set_worker_id(heartbeat.worker_id());
  const v1::WorkLease lease = call(&Stub::Lease, ask, v1::LeaseResponse()).lease();
  REQUIRE(lease.has_train());
  v1::TrainResult* const result = heartbeat.mutable_report()->add_train();
  result->set_job_id("lenet");
  result->set_lease_id(lease.lease_id());
  result->set_iteration(lease.train().begin());
  result->add_outputs(1);
  const auto done_after = [&](uint64_t of_epoch) {
    heartbeat.mutable_report()->set_epoch(of_epoch);
    call(&Stub::Heartbeat, heartbeat, v1::HeartbeatResponse());
    return cluster.Await("lenet", [](const v1::JobStatus&) { return true; }).completed_iterations();
  };
  CHECK(done_after(epoch + 1) == 0);
  CHECK(done_after(epoch) == 1);
}

TEST_CASE("a job runs from its submission to its last snapshot and test") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  v1::JobSpec spec = MakeSpec(100);
  spec.mutable_solver()->set_snapshot(40);
  spec.mutable_solver()->set_test_interval(50);
  spec.mutable_solver()->add_test_iter(5);
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status = RunToEnd(&cluster, &worker, "lenet");
  CheckComplete(status);
  CHECK(status.ledger().counters().applied() == 500);
  CHECK(worker.computed == 100);
  // Of 40, 80 and 100, the newest two.
  const std::vector<uint64_t> snapshots(status.snapshots().begin(), status.snapshots().end());
  CHECK(snapshots == std::vector<uint64_t>{80, 100});
  REQUIRE(status.tests_size() == 2);
  CHECK(status.tests(0).records() == 50);
  // The snapshot with the label 50 holds 50 iterations.
  CHECK(status.tests(0).iteration() == 50);
  CHECK(status.tests(0).outputs(0).value() == -50.0 / 1024);
  // Each iteration moves each weight by -rate, exactly.
  const v1::TestReport& last = status.tests(status.tests_size() - 1);
  CHECK(last.iteration() == 100);
  CHECK(last.outputs(0).value() == -100.0 / 1024);
}

TEST_CASE("an iteration that reached one server only is leased again, and applied once everywhere") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(60)));
  TestWorker worker(cluster.coordinator());
  int lost = 0;
  worker.loses = [&](uint64_t t, size_t server) { return t % 7 == 3 && server == 1 && lost < 8 && ++lost <= 8; };
  const v1::JobStatus status = RunToEnd(&cluster, &worker, "lenet");
  CheckComplete(status);
  CHECK(lost == 8);
  CHECK(worker.computed == 68);
  CHECK(status.ledger().counters().applied() == 300);
  // Server 0 holds three of the five chunks.
  CHECK(status.ledger().counters().duplicates() == 8 * 3);
  CHECK(status.tests(0).outputs(0).value() == -60.0 / 1024);
}

TEST_CASE("a job whose servers stopped resumes from its last snapshot with the same ledger") {
  const TempDir dir;
  v1::JobSpec spec = MakeSpec(100);
  spec.mutable_solver()->set_snapshot(20);
  {
    TestCluster cluster(dir.path(), 2);
    REQUIRE_OK(cluster.Submit(spec));
    TestWorker worker(cluster.coordinator());
    const auto written = [](const v1::JobStatus& status) { return status.snapshots_size() >= 2; };
    std::atomic<bool> enough = false;
    std::thread watcher([&] {
      cluster.Await("lenet", written);
      enough = true;
    });
    worker.WorkUntil([&] { return enough.load(); });
    watcher.join();
    cluster.Stop(1);
    cluster.Stop(0);
  }
  TestCluster cluster(dir.path(), 2);
  spec.set_resume(true);
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus status = RunToEnd(&cluster, &worker, "lenet");
  CheckComplete(status);
  CHECK(status.resumed_from() >= 40);
  CHECK(status.epoch() == 2);
  CHECK(worker.computed <= 60);
  CHECK(status.tests(0).outputs(0).value() == -100.0 / 1024);
}

TEST_CASE("to resume what was never begun fails with the reason, and so does another number of servers") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  v1::JobSpec spec = MakeSpec(10);
  spec.set_resume(true);
  REQUIRE_OK(cluster.Submit(spec));
  v1::JobStatus status = cluster.AwaitEnd("lenet");
  CHECK(status.state() == v1::JOB_STATE_FAILED);
  CHECK(status.cause() == "there is no snapshot of job \"lenet\" to resume from");

  spec.set_resume(false);
  REQUIRE_OK(cluster.Submit(spec));
  TestWorker worker(cluster.coordinator());
  CheckComplete(RunToEnd(&cluster, &worker, "lenet"));
  spec.set_resume(true);
  spec.set_servers(1);
  REQUIRE_OK(cluster.Submit(spec));
  status = cluster.AwaitEnd("lenet");
  CHECK(status.state() == v1::JOB_STATE_FAILED);
  CHECK_THAT(status.cause(),
             Catch::Contains(
                 "the snapshots of job \"lenet\" are of 2 servers, the job asks for 1; resume it with 2 servers") &&
                 Catch::Contains("--restore"));
}

TEST_CASE("a job whose server was restarted gives it its share again") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(100)));
  const v1::JobStatus running =
      cluster.Await("lenet", [](const v1::JobStatus& status) { return status.state() == v1::JOB_STATE_RUNNING; });
  CHECK(running.servers_size() == 2);
  Server::Options options;
  // On another port.
  options.join = cluster.coordinator();
  options.state_dir = dir.File("1");
  cluster.Stop(1);
  const auto again = Server::Start(options);
  REQUIRE_OK(again);
  const v1::JobStatus recovered =
      cluster.Await("lenet", [](const v1::JobStatus& status) { return status.recoveries() > 0; });
  // Whichever of the two registered first.
  CHECK(std::count(recovered.servers().begin(), recovered.servers().end(), (*again)->address()) == 1);
  TestWorker worker(cluster.coordinator());
  CheckComplete(RunToEnd(&cluster, &worker, "lenet"));
}

TEST_CASE("an identity that cannot be read is not replaced by another one") {
  const TempDir dir;
  const auto first = ServerIdentity(dir.path());
  REQUIRE_OK(first);
  CHECK(*first != 0);
  const auto again = ServerIdentity(dir.path());
  REQUIRE_OK(again);
  CHECK(*again == *first);
  std::filesystem::remove(dir.File("identity"));
  std::filesystem::create_directory(dir.File("identity"));
  REQUIRE_STATUS(ServerIdentity(dir.path()), absl::StatusCode::kInvalidArgument,
                 dir.File("identity") + " is a directory");
}

TEST_CASE("a server that ends in order saves what it has applied since the last snapshot, and keeps its identity") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(200)));
  TestWorker worker(cluster.coordinator());
  std::atomic<bool> half = false;
  std::thread watcher([&] {
    cluster.Await("lenet", [](const v1::JobStatus& status) { return status.iteration() >= 100; });
    half = true;
  });
  worker.WorkUntil([&] { return half.load(); });
  watcher.join();
  Server::Options options;
  options.join = cluster.coordinator();
  options.state_dir = dir.File("1");
  cluster.Stop(1);
  const auto again = Server::Start(options);
  REQUIRE_OK(again);
  const v1::JobStatus recovered = cluster.Await(
      "lenet", [](const v1::JobStatus& status) { return status.recoveries() > 0 && status.notices_size() > 0; });
  CHECK(recovered.repeated_iterations() == 0);
  CHECK(recovered.iteration() >= 100);
  CHECK_THAT(recovered.notices(0), Catch::Contains("restored from its snapshot"));
  CheckComplete(RunToEnd(&cluster, &worker, "lenet"));
}

TEST_CASE("programs of another release are refused when they join") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 1);
  const auto stub = v1::CoordinatorService::NewStub(Dialer(RpcOptions()).Dial(cluster.coordinator()));
  for (const std::string version : {"0.0.1", "99.0", "", "\x1b[31m"}) {
    INFO(version);
    grpc::ClientContext joins;
    SetDeadline(&joins, absl::Seconds(30));
    v1::JoinRequest join;
    join.set_name("anna");
    join.set_version(version);
    v1::JoinResponse joined;
    REQUIRE_STATUS(FromGrpcStatus(stub->Join(&joins, join, &joined)), absl::StatusCode::kFailedPrecondition,
                   "install the same release");
    grpc::ClientContext registers;
    SetDeadline(&registers, absl::Seconds(30));
    v1::RegisterServerRequest server;
    server.set_address("127.0.0.1:1");
    server.set_version(version);
    v1::RegisterServerResponse registered;
    REQUIRE_STATUS(FromGrpcStatus(stub->RegisterServer(&registers, server, &registered)),
                   absl::StatusCode::kFailedPrecondition, "install the same release");
  }
}

TEST_CASE("jobs run one after the other on the same servers") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  v1::JobSpec first = MakeSpec(30);
  v1::JobSpec second = MakeSpec(20);
  second.set_job_id("second");
  REQUIRE_OK(cluster.Submit(first));
  REQUIRE_OK(cluster.Submit(second));
  TestWorker worker(cluster.coordinator());
  CheckComplete(RunToEnd(&cluster, &worker, "lenet"));
  CheckComplete(RunToEnd(&cluster, &worker, "second"));
}

TEST_CASE("the status of the cluster is read by any client") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 1);
  const auto stub = v1::StatusService::NewStub(Dialer(RpcOptions()).Dial(cluster.coordinator()));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(30));
  v1::ClusterStatus status;
  REQUIRE_OK(FromGrpcStatus(stub->GetStatus(&context, v1::GetStatusRequest(), &status)));
  CHECK(status.coordinator() == cluster.coordinator());
}

TEST_CASE("the status has what each server counts of its pushes") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(20)));
  TestWorker worker(cluster.coordinator());
  const v1::JobStatus end = RunToEnd(&cluster, &worker, "lenet");
  CheckComplete(end);
  const auto stub = v1::StatusService::NewStub(Dialer(RpcOptions()).Dial(cluster.coordinator()));
  // Servers tell their figures when they next renew their registrations.
  uint64_t applied = 0;
  const absl::Time deadline = SteadyNow() + absl::Seconds(60);
  while (applied < 20 * end.ledger().chunks() && SteadyNow() < deadline) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    v1::ClusterStatus status;
    REQUIRE_OK(FromGrpcStatus(stub->GetStatus(&context, v1::GetStatusRequest(), &status)));
    applied = 0;
    for (const v1::ServerStatus& server : status.servers()) {
      applied += server.figures().applied_pushes();
      CHECK(server.figures().refused_calls() == 0);
    }
  }
  CHECK(applied == 20 * end.ledger().chunks());
}

TEST_CASE("a server is known by the address that it is told to advertise") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 1);
  Server::Options options;
  options.join = cluster.coordinator();
  options.state_dir = dir.File("1");
  auto server = Server::Start(options);
  REQUIRE_OK(server);
  options.listen = (*server)->address();
  server->reset();
  // Another name for the same.
  options.advertise = absl::StrReplaceAll(options.listen, {{"127.0.0.1", "localhost"}});
  server = Server::Start(options);
  REQUIRE_OK(server);
  REQUIRE_OK(cluster.Submit(MakeSpec(1000000)));
  const auto placed_there = [&](const v1::JobStatus& status) {
    return std::find(status.servers().begin(), status.servers().end(), options.advertise) != status.servers().end();
  };
  CHECK(placed_there(cluster.Await("lenet", placed_there)));
}

TEST_CASE("a server says what is wrong with its options") {
  const TempDir dir;
  Server::Options options;
  options.state_dir = dir.path();
  REQUIRE_STATUS(Server::Start(options), absl::StatusCode::kInvalidArgument, "--join");
  options.is_coordinator = true;
  options.listen = "0.0.0.0:0";
  REQUIRE_STATUS(Server::Start(options), absl::StatusCode::kInvalidArgument, "loopback");
  options.allow_plaintext = true;
  REQUIRE_STATUS(Server::Start(options), absl::StatusCode::kInvalidArgument, "--advertise HOST:PORT");
  options.advertise = "[::]:7400";
  REQUIRE_STATUS(Server::Start(options), absl::StatusCode::kInvalidArgument, "others cannot dial [::]:7400");
  options.advertise.clear();
  options.allow_plaintext = false;
  options.listen = "127.0.0.1:0";
  const auto server = Server::Start(options);
  REQUIRE_OK(server);
  const TempDir other;
  options.state_dir = other.path();
  options.listen = (*server)->address();
  REQUIRE_STATUS(Server::Start(options), absl::StatusCode::kUnavailable, "cannot listen on " + options.listen);
}

TEST_CASE("a port of pages that is taken is named with its flag, and a server that cannot start counts nothing") {
  const TempDir dir, other;
  Server::Options options;
  options.is_coordinator = true;
  options.state_dir = dir.path();
  options.http = "127.0.0.1:0";
  const auto first = Server::Start(options);
  REQUIRE_OK(first.status());
  options.http = (*first)->http();
  options.state_dir = other.path();
  REQUIRE_STATUS(Server::Start(options).status(), absl::StatusCode::kUnavailable,
                 absl::StrCat("--http: cannot listen on ", (*first)->http()));
}

TEST_CASE("a server says in a line what it does") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(MakeSpec(40)));
  TestWorker worker(cluster.coordinator());
  CheckComplete(RunToEnd(&cluster, &worker, "lenet"));
  CHECK(cluster.server(0).StatusText() == "0 jobs run; 2 servers, 1 worker");
  CHECK_THAT(cluster.server(1).StatusText(),
             Catch::StartsWith("serves ") && Catch::EndsWith("for the coordinator " + cluster.coordinator()));
}

TEST_CASE("a second server on one state directory is refused, and the first one serves on") {
  const TempDir dir;
  Server::Options options;
  options.is_coordinator = true;
  options.state_dir = dir.path();
  absl::StatusOr<std::unique_ptr<Server>> first = Server::Start(options);
  REQUIRE_OK(first.status());
  Server::Options second = options;
  SECTION("another coordinator") {}
  SECTION("a server that joins") {
    second.is_coordinator = false;
    second.join = (*first)->address();
  }
  REQUIRE_STATUS(Server::Start(second).status(), absl::StatusCode::kFailedPrecondition,
                 "the state directory " + dir.path() + " is in use by pid");
  first->reset();
  options.forget_jobs = true;
  REQUIRE_OK(Server::Start(options).status());
}

}  // namespace
}  // namespace samovar
