// Iterations that some chunks hold updated and others skipped, since a server was lost between the two: real servers
// and their coordinator, and a real worker after one of the test's making.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/version.h"
#include "common/parameters/parameter_client.h"
#include "tests/server/test_cluster.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/train/running_worker.h"
#include "tests/worker/train/small_job.h"

namespace samovar {
namespace {

constexpr uint64_t kIterations = 12;
// The iterations of the first worker.
constexpr uint64_t kFirst = 5;

// A job that skips, without snapshots: a server that is lost begins again with initial weights.
v1::JobSpec SkippingJob(const std::string& directory, bool finite) {
  v1::JobSpec spec = MakeJob(directory);
  spec.set_servers(2);
  spec.set_chunk_elements(kChunkElements);
  spec.mutable_consistency()->set_on_numeric_failure(v1::NUMERIC_FAILURE_SKIP);
  spec.mutable_solver()->set_max_iter(kIterations);
  spec.mutable_solver()->set_base_lr(1.0f / 1024);
  spec.clear_test_nets();
  spec.clear_test_data();
  spec.clear_test_outputs();
  if (!finite) spec.mutable_train_net()->mutable_layer(0)->mutable_transform_param()->set_scale(1e38f);
  return spec;
}

// A worker of the test's making, which gives back the rest of its lease when it leaves.
class FirstWorker {
 public:
  explicit FirstWorker(const std::string& coordinator)
      : stub_(v1::CoordinatorService::NewStub(Dialer(RpcOptions()).Dial(coordinator))) {
    v1::JoinRequest join;
    join.set_name("the first worker");
    join.set_version(Version());
    id_ = Call(&v1::CoordinatorService::Stub::Join, join, v1::JoinResponse()).worker_id();
  }

  // Pushes gradients of 1 for iterations 0 to kFirst - 1 to all servers, or has all servers skip them; reports, leaves.
  void Work(bool skips) {
    v1::WorkerReport report;
    uint64_t done = 0;
    const absl::Time deadline = SteadyNow() + absl::Seconds(60);
    while (done < kFirst) {
      REQUIRE(SteadyNow() < deadline);
      v1::LeaseRequest ask;
      ask.set_worker_id(id_);
      ask.mutable_report()->Swap(&report);
      report.Clear();
      const v1::LeaseResponse answer = Call(&v1::CoordinatorService::Stub::Lease, ask, v1::LeaseResponse());
      if (!answer.has_lease()) continue;
      v1::GetAssignmentRequest question;
      question.set_worker_id(id_);
      question.set_job_id("small");
      assignment_ = Call(&v1::CoordinatorService::Stub::GetAssignment, question, v1::GetAssignmentResponse());
      for (uint64_t t = answer.lease().train().begin(); t < answer.lease().train().end() && done < kFirst;
           ++t, ++done) {
        REQUIRE(t == done);
        skips ? Skip(t) : Push(t);
        v1::TrainResult* result = report.add_train();
        result->set_job_id("small");
        result->set_lease_id(answer.lease().lease_id());
        result->set_iteration(t);
        if (skips) result->set_skipped("the gradient is not finite");
        if (!skips) result->add_outputs(1);
        if (!skips) result->set_loss(1);
      }
    }
    v1::LeaveRequest leave;
    leave.set_worker_id(id_);
    *leave.mutable_report() = report;
    Call(&v1::CoordinatorService::Stub::Leave, leave, v1::LeaveResponse());
  }

 private:
  template <typename Request, typename Response>
  Response Call(grpc::Status (v1::CoordinatorService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const Request& request, Response response) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    context.set_wait_for_ready(true);
    REQUIRE_OK(FromGrpcStatus((*stub_.*method)(&context, request, &response)));
    return response;
  }

  void Push(uint64_t t) {
    ParameterClient::Options options;
    options.job_id = "small";
    options.elements = kElements;
    options.chunk_elements = kChunkElements;
    options.servers.assign(assignment_.servers().begin(), assignment_.servers().end());
    options.opening = assignment_.opening();
    auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
    REQUIRE_OK(client);
    // Then the gradient is of no old weights, and its rate is the solver's.
    std::vector<float> weights(kElements);
    REQUIRE_OK((*client)->Pull(weights, {SteadyNow() + absl::Seconds(60), nullptr}));
    const std::vector<float> ones(kElements, 1.0f);
    (*client)->StartPush(t, assignment_.epoch(), ones, {});
    (*client)->Ready(0, kElements);
    const auto pushed = (*client)->AwaitPush({SteadyNow() + absl::Seconds(60), nullptr});
    REQUIRE_OK(pushed);
    REQUIRE(pushed->applied == kChunks);
  }

  void Skip(uint64_t t) {
    v1::SkipRequest request;
    request.set_job_id("small");
    request.set_epoch(assignment_.epoch());
    request.set_opening(assignment_.opening());
    request.set_iteration(t);
    for (const std::string& server : assignment_.servers()) {
      grpc::ClientContext context;
      SetDeadline(&context, absl::Seconds(30));
      v1::SkipResponse response;
      REQUIRE_OK(FromGrpcStatus(
          v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server))->Skip(&context, request, &response)));
      REQUIRE(response.skipped() == 1);
    }
  }

  const std::unique_ptr<v1::CoordinatorService::Stub> stub_;
  uint64_t id_ = 0;
  v1::GetAssignmentResponse assignment_;
};

// Lets a real worker do the rest.
v1::JobStatus Finish(TestCluster* cluster) {
  RunningWorker worker(cluster->coordinator());
  v1::JobStatus status = cluster->AwaitEnd("small");
  worker.Stop();
  INFO(status.ShortDebugString());
  REQUIRE(status.state() == v1::JOB_STATE_SUCCEEDED);
  // Each chunk has each iteration, updated or skipped.
  CHECK(status.ledger().chunks() == kChunks);
  CHECK(status.ledger().complete_chunks() == kChunks);
  CHECK(status.completed_iterations() == kIterations);
  return status;
}

v1::JobStatus AwaitDone(TestCluster* cluster, uint64_t iterations) {
  return cluster->Await("small", [&](const v1::JobStatus& now) { return now.completed_iterations() == iterations; });
}

// The second server loses its memory, and the snapshot that its orderly end writes.
void LoseSecond(TestCluster* cluster, const TempDir& dir) {
  cluster->Stop(1);
  std::filesystem::remove_all(dir.File("1/snapshots"));
  cluster->Start(1);
  const v1::JobStatus status = cluster->Await("small", [](const v1::JobStatus& now) { return now.recoveries() == 1; });
  INFO(status.ShortDebugString());
  REQUIRE(status.state() == v1::JOB_STATE_RUNNING);
  CHECK(status.repeated_iterations() == kFirst);
}

std::vector<float> FinalWeights(const v1::JobStatus& status) {
  ParameterClient::Options options;
  options.job_id = "small";
  options.elements = kElements;
  options.chunk_elements = kChunkElements;
  options.servers.assign(status.servers().begin(), status.servers().end());
  auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
  REQUIRE_OK(client);
  std::vector<float> weights(kElements);
  REQUIRE_OK((*client)->PullFrozen(kIterations, weights, {SteadyNow() + absl::Seconds(60), nullptr}));
  return weights;
}

TEST_CASE(
    "iterations that were applied, lost with a server, and skipped by a second lease are told as skipped once each, "
    "and "
    "the chunks that have their update keep it once") {
  const TempDir dir;
  const v1::JobSpec spec = SkippingJob(dir.path(), /*finite=*/false);
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(spec));
  FirstWorker(cluster.coordinator()).Work(/*skips=*/false);
  CHECK(AwaitDone(&cluster, kFirst).skipped_iterations() == 0);
  // Its restart takes away the updates of the second chunk. All that follows is not finite.
  LoseSecond(&cluster, dir);
  const v1::JobStatus status = Finish(&cluster);
  CHECK(status.skipped_iterations() == kIterations);
  CHECK_THAT(absl::StrJoin(status.notices(), "\n"),
             Catch::Contains("iteration 0 was skipped: ") && Catch::Contains("; 1 of 2 chunks have an update of it"));
  // One server's counters are those of its restarted process.
  CHECK(status.ledger().counters().applied() == kFirst);
  CHECK(status.ledger().counters().skipped() == 2 * kIterations - kFirst);
  CHECK(status.ledger().counters().duplicates() == kFirst);

  // The weights of a job that has skipped all are the initial ones.
  const TempDir other;
  TestCluster undisturbed(other.path(), 2);
  REQUIRE_OK(undisturbed.Submit(SkippingJob(other.path(), /*finite=*/false)));
  const std::vector<float> initial = FinalWeights(Finish(&undisturbed));
  const std::vector<float> weights = FinalWeights(status);
  for (size_t i = 0; i < kElements; ++i) {
    float expected = initial[i];
    for (uint64_t t = 0; i < kChunkElements && t < kFirst; ++t) expected -= spec.solver().base_lr();
    if (weights[i] != expected) FAIL("weight " << i << " is " << weights[i] << " and not " << expected);
  }
}

TEST_CASE("iterations that were skipped, and lost with a server, are told as skipped once when they are finite later") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2);
  REQUIRE_OK(cluster.Submit(SkippingJob(dir.path(), /*finite=*/true)));
  FirstWorker(cluster.coordinator()).Work(/*skips=*/true);
  CHECK(AwaitDone(&cluster, kFirst).skipped_iterations() == kFirst);
  LoseSecond(&cluster, dir);
  const v1::JobStatus status = Finish(&cluster);
  CHECK(status.skipped_iterations() == kFirst);
  // The second chunk may have the first of them applied before the worker knew.
  const uint64_t applied = status.ledger().counters().applied();
  CHECK(applied >= 2 * (kIterations - kFirst));
  CHECK(applied <= 2 * (kIterations - kFirst) + kFirst);
  CHECK(applied + status.ledger().counters().skipped() == 2 * kIterations);
}

TEST_CASE("iterations that were skipped stay so over the orderly ends of all servers, and not if all have lost them") {
  const TempDir dir;
  TestCluster cluster(dir.path(), 2, /*keeps_jobs=*/true);
  REQUIRE_OK(cluster.Submit(SkippingJob(dir.path(), /*finite=*/true)));
  FirstWorker(cluster.coordinator()).Work(/*skips=*/true);
  CHECK(AwaitDone(&cluster, kFirst).skipped_iterations() == kFirst);
  for (const size_t server : {1, 0}) cluster.Stop(server);
  uint64_t skipped = kFirst;
  SECTION("orderly") {}
  SECTION("lost") {
    for (const char* server : {"0", "1"}) std::filesystem::remove_all(dir.File(server) + "/snapshots");
    skipped = 0;
  }
  for (const size_t server : {0, 1}) cluster.Start(server);
  const v1::JobStatus status = Finish(&cluster);
  CHECK(status.recovered());
  CHECK(status.skipped_iterations() == skipped);
  CHECK(status.ledger().counters().applied() == 2 * (kIterations - skipped));
}

}  // namespace
}  // namespace samovar
