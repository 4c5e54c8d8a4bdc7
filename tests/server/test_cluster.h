// Servers on loopback, and a small job for them.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/job.grpc.pb.h"
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
  // earlier one. `patience`, `keep_ended_jobs`, `snapshots`: as in Server::Options.
  TestCluster(const std::string& directory, int servers, bool keeps_jobs = false,
              absl::Duration patience = absl::Minutes(10), int keep_ended_jobs = JobQueue::kMaxEndedJobs,
              const std::string& snapshots = "")
      : servers_(static_cast<size_t>(servers)) {
    for (int i = 0; i < servers; ++i) {
      Server::Options options;
      options.is_coordinator = i == 0;
      options.state_dir = absl::StrCat(directory, "/", i);
      options.forget_jobs = !keeps_jobs;
      options.server_patience = patience;
      options.keep_ended_jobs = keep_ended_jobs;
      options.snapshots = snapshots;
      options.http = "127.0.0.1:0";
      options_.push_back(options);
      Start(static_cast<size_t>(i));
    }
  }

  const std::string& coordinator() const { return servers_[0]->address(); }
  const Server& server(size_t i) const { return *servers_[i]; }
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
  absl::Status Cancel(const std::string& job_id) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(30));
    context.set_wait_for_ready(true);
    v1::CancelRequest request;
    request.set_job_id(job_id);
    v1::CancelResponse response;
    return FromGrpcStatus(jobs_->Cancel(&context, request, &response));
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

}  // namespace samovar
