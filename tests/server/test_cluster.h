// Servers on loopback, and a worker that pushes gradients of its own making: enough to take jobs through their lives.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/base/version.h"
#include "common/model/chunk_plan.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/coordinator.grpc.pb.h"
#include "samovar/v1/job.grpc.pb.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "server/server.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

inline constexpr uint64_t kModelElements = 20000;

// 2 servers, 100 training records in batches of 10, 50 test records, momentum 0, constant rate.
inline v1::JobSpec MakeSpec(int max_iter) {
  v1::JobSpec spec;
  spec.set_job_id("lenet");
  spec.set_servers(2);
  spec.set_seed(1);
  spec.set_chunk_elements(4096);
  caffe::SolverParameter* solver = spec.mutable_solver();
  solver->set_max_iter(max_iter);
  solver->set_base_lr(1.0f / 1024);
  solver->set_lr_policy("fixed");
  solver->set_test_initialization(false);
  v1::ParameterBlob* blob = spec.mutable_layout()->add_blobs();
  blob->set_layer("ip");
  blob->add_shape(kModelElements);
  blob->set_lr_mult(1);
  blob->mutable_filler()->set_type("constant");
  spec.mutable_layout()->set_elements(kModelElements);
  v1::DatasetSpec* data = spec.mutable_train_data();
  data->set_uri("train_lmdb");
  data->set_records(100);
  data->set_batch_size(10);
  data->set_partitions(1);
  spec.mutable_train_outputs()->add_outputs()->set_name("loss");
  spec.add_test_nets();
  *spec.add_test_data() = *data;
  spec.mutable_test_data(0)->set_records(50);
  spec.add_test_outputs()->add_outputs()->set_name("mean");
  return spec;
}

class TestCluster {
 public:
  // Server i keeps its state in `directory`/i. The first is the coordinator; `keeps_jobs`: it takes up those of an
  // earlier one. `patience`, `keep_ended_jobs`: as in Server::Options.
  TestCluster(const std::string& directory, int servers, bool keeps_jobs = false,
              absl::Duration patience = absl::Minutes(10), int keep_ended_jobs = JobQueue::kMaxEndedJobs)
      : servers_(static_cast<size_t>(servers)) {
    for (int i = 0; i < servers; ++i) {
      Server::Options options;
      options.is_coordinator = i == 0;
      options.state_dir = absl::StrCat(directory, "/", i);
      options.forget_jobs = !keeps_jobs;
      options.server_patience = patience;
      options.keep_ended_jobs = keep_ended_jobs;
      options_.push_back(options);
      Start(static_cast<size_t>(i));
    }
  }

  const std::string& coordinator() const { return servers_[0]->address(); }
  const std::string& address(size_t i) const { return servers_[i]->address(); }
  // Orderly end.
  void Stop(size_t i) { servers_[i].reset(); }
  // With its state directory, on another port.
  void Start(size_t i) {
    if (i != 0) options_[i].join = coordinator();
    auto server = Server::Start(options_[i]);
    REQUIRE_OK(server);
    servers_[i] = *std::move(server);
    if (i == 0) jobs_ = v1::JobService::NewStub(Dialer(RpcOptions()).Dial(coordinator()));
  }

  absl::Status Submit(const v1::JobSpec& spec) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    // On a busy machine a connection may take longer than its first attempt.
    context.set_wait_for_ready(true);
    v1::SubmitRequest request;
    *request.mutable_spec() = spec;
    v1::SubmitResponse response;
    return FromGrpcStatus(jobs_->Submit(&context, request, &response));
  }
  absl::Status Forget(const std::string& job_id) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    context.set_wait_for_ready(true);
    v1::ForgetRequest request;
    request.set_job_id(job_id);
    v1::ForgetResponse response;
    return FromGrpcStatus(jobs_->Forget(&context, request, &response));
  }
  // Blocks until `until` holds for the job's status, or the job ends; returns the last status, of state UNSPECIFIED if
  // the watch failed.
  v1::JobStatus Await(const std::string& job_id, std::function<bool(const v1::JobStatus&)> until) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(60));
    context.set_wait_for_ready(true);
    v1::WatchRequest request;
    request.set_job_id(job_id);
    request.set_interval_ms(50);
    const auto reader = jobs_->Watch(&context, request);
    v1::JobStatus status;
    while (reader->Read(&status)) {
      if (!until(status)) continue;
      context.TryCancel();
      reader->Finish();
      return status;
    }
    // Threads call this, and Catch's assertions are for one thread: the thread that joins them looks at the state.
    const absl::Status end = FromGrpcStatus(reader->Finish());
    if (!end.ok()) {
      status.set_state(v1::JOB_STATE_UNSPECIFIED);
      status.set_cause(std::string(end.message()));
    }
    return status;
  }
  v1::JobStatus AwaitEnd(const std::string& job_id) {
    return Await(job_id, [](const v1::JobStatus&) { return false; });
  }

 private:
  std::vector<Server::Options> options_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
};

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

}  // namespace samovar
