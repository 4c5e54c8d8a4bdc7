// A worker that pushes gradients of its own making: with a TestCluster enough to take jobs through their lives.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/version.h"
#include "common/model/chunk_plan.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/coordinator.grpc.pb.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "tests/server/test_cluster.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

// Pushes a gradient of 1 for each iteration, and reports the mean of the frozen weights as a test's result.
class TestWorker {
 public:
  explicit TestWorker(const std::string& coordinator)
      : stub_(v1::CoordinatorService::NewStub(Dialer(RpcOptions()).Dial(coordinator))) {
    Join();
  }

  // Whether the next pushes to this server are left out, and yet reported.
  std::function<bool(uint64_t iteration, size_t server)> loses = [](uint64_t, size_t) { return false; };
  // Iterations that were computed.
  uint64_t computed = 0;
  // Of the job that it worked for last.
  const v1::GetAssignmentResponse& assignment() const { return assignment_; }

  // Asks for work once and does it; false if there was none.
  bool Step() {
    v1::LeaseRequest request;
    request.set_worker_id(worker_id_);
    request.mutable_report()->Swap(&report_);
    v1::LeaseResponse answer;
    const absl::Status asked = Try(&v1::CoordinatorService::Stub::Lease, request, &answer);
    if (absl::IsNotFound(asked)) {
      // It sends no heartbeats: on a busy machine it is taken for dead at times.
      Join();
      return false;
    }
    REQUIRE_OK(asked);
    if (!answer.has_lease()) return false;
    Prepare(answer.lease().job_id());
    if (answer.lease().has_test()) {
      Test(answer.lease());
    } else {
      for (uint64_t t = answer.lease().train().begin(); t < answer.lease().train().end(); ++t) Train(answer.lease(), t);
    }
    return true;
  }
  // Works until `done` returns true.
  void WorkUntil(const std::function<bool()>& done) {
    while (!done()) Step();
  }

 private:
  template <typename Request, typename Response>
  absl::Status Try(grpc::Status (v1::CoordinatorService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                        Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    context.set_wait_for_ready(true);
    return FromGrpcStatus((*stub_.*method)(&context, request, response));
  }
  template <typename Request, typename Response>
  Response Call(grpc::Status (v1::CoordinatorService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const Request& request, Response response) {
    REQUIRE_OK(Try(method, request, &response));
    return response;
  }

  void Join() {
    v1::JoinRequest join;
    join.set_name("test worker");
    join.set_version(Version());
    worker_id_ = Call(&v1::CoordinatorService::Stub::Join, join, v1::JoinResponse()).worker_id();
  }

  void Prepare(const std::string& job_id) {
    v1::GetAssignmentRequest request;
    request.set_worker_id(worker_id_);
    request.set_job_id(job_id);
    assignment_ = Call(&v1::CoordinatorService::Stub::GetAssignment, request, v1::GetAssignmentResponse());
  }

  v1::ExchangeResponse Ask(const std::string& server, v1::ExchangeRequest request) {
    const auto stub = v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(server));
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    context.set_wait_for_ready(true);
    const auto stream = stub->Exchange(&context);
    request.set_job_id(assignment_.spec().job_id());
    request.set_epoch(assignment_.epoch());
    request.set_opening(assignment_.opening());
    v1::ExchangeResponse response;
    REQUIRE(stream->Write(request));
    REQUIRE(stream->Read(&response));
    INFO(response.message());
    REQUIRE(response.code() == 0);
    stream->WritesDone();
    stream->Finish();
    return response;
  }

  ChunkPlan Plan() const {
    return *ChunkPlan::Create(assignment_.spec().layout().elements(), assignment_.chunk_elements(),
                              static_cast<uint32_t>(assignment_.servers_size()));
  }

  void Train(const v1::WorkLease& lease, uint64_t t) {
    ++computed;
    const ChunkPlan plan = Plan();
    for (int s = 0; s < assignment_.servers_size(); ++s) {
      if (loses(t, static_cast<size_t>(s))) continue;
      v1::ExchangeRequest request;
      request.set_iteration(t);
      for (uint32_t chunk : plan.ChunksOf(static_cast<uint32_t>(s))) {
        const std::vector<float> ones(
            std::min<uint64_t>(assignment_.chunk_elements(),
                               kModelElements - uint64_t{chunk} * assignment_.chunk_elements()),
            1.0f);
        v1::ChunkData* push = request.add_push();
        // Computed from the newest weights: never late.
        push->set_version(std::numeric_limits<uint64_t>::max());
        push->set_chunk(chunk);
        push->set_payload(ones.data(), ones.size() * sizeof(float));
      }
      Ask(assignment_.servers(s), std::move(request));
    }
    v1::TrainResult* result = report_.add_train();
    result->set_job_id(lease.job_id());
    result->set_lease_id(lease.lease_id());
    result->set_iteration(t);
    result->set_loss(1);
    result->add_outputs(1);
  }

  void Test(const v1::WorkLease& lease) {
    const ChunkPlan plan = Plan();
    double sum = 0;
    for (int s = 0; s < assignment_.servers_size(); ++s) {
      v1::ExchangeRequest request;
      request.set_frozen(true);
      request.set_frozen_iteration(lease.test().frozen_iteration());
      for (uint32_t chunk : plan.ChunksOf(static_cast<uint32_t>(s))) request.add_pull(chunk);
      const v1::ExchangeResponse response = Ask(assignment_.servers(s), std::move(request));
      for (const v1::ChunkData& data : response.weights()) {
        const float* values = reinterpret_cast<const float*>(data.payload().data());
        for (size_t i = 0; i < data.payload().size() / sizeof(float); ++i) sum += values[i];
      }
    }
    v1::TestResult* result = report_.add_test();
    result->set_job_id(lease.job_id());
    result->set_lease_id(lease.lease_id());
    result->set_frozen_iteration(lease.test().frozen_iteration());
    result->set_net(lease.test().net());
    result->set_begin(lease.test().begin());
    result->set_end(lease.test().end());
    result->add_sums(sum / kModelElements * static_cast<double>(lease.test().end() - lease.test().begin()));
  }

  std::unique_ptr<v1::CoordinatorService::Stub> stub_;
  uint64_t worker_id_ = 0;
  v1::GetAssignmentResponse assignment_;
  v1::WorkerReport report_;
};

// The worker works on the test's thread until the condition holds for the job's status or the job has ended. Returns
// the last status.
inline v1::JobStatus Work(TestCluster* cluster, TestWorker* worker,
                          const std::function<bool(const v1::JobStatus&)>& until, const std::string& job = "lenet") {
  std::atomic<bool> done = false;
  v1::JobStatus last;
  std::thread watcher([&] {
    last = cluster->Await(job, until);
    done = true;
  });
  worker->WorkUntil([&] { return done.load(); });
  watcher.join();
  return last;
}

inline v1::JobStatus WorkToEnd(TestCluster* cluster, TestWorker* worker, const std::string& job = "lenet") {
  return Work(
      cluster, worker, [](const v1::JobStatus&) { return false; }, job);
}

// The job of MakeSpec(iterations) has succeeded: its 5 chunks hold each iteration once.
inline void CheckComplete(const v1::JobStatus& status, uint64_t iterations) {
  INFO(status.DebugString());
  CHECK(status.state() == v1::JOB_STATE_SUCCEEDED);
  CHECK(status.ledger().chunks() == 5);
  CHECK(status.ledger().complete_chunks() == 5);
  CHECK(status.ledger().iterations() == iterations);
  REQUIRE(status.tests_size() >= 1);
  // Each iteration moves each weight by -rate, exactly.
  CHECK(status.tests(status.tests_size() - 1).outputs(0).value() == -static_cast<double>(iterations) / 1024);
}

// The worker works, on the caller's thread, until the job has ended. Returns its last status.
inline v1::JobStatus RunToEnd(TestCluster* cluster, TestWorker* worker, const std::string& job_id) {
  std::atomic<bool> ended = false;
  v1::JobStatus last;
  std::thread watcher([&] {
    last = cluster->AwaitEnd(job_id);
    ended = true;
  });
  worker->WorkUntil([&] { return ended.load(); });
  watcher.join();
  return last;
}

}  // namespace samovar
