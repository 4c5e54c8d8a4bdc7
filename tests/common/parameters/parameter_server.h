// A parameter server on loopback whose job is open before it listens, and which can be started again on its port.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/model/chunk_plan.h"
#include "common/rpc/listener.h"
#include "samovar/v1/parameter.pb.h"
#include "server/store/parameter_service.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

class ParameterServer {
 public:
  // `job`: as for OpenJob, for server `index` of job.servers(); its chunks are set here. `port` 0: any.
  // `hold`: as in ParameterService::Options.
  ParameterServer(const std::string& state_dir, v1::OpenJobRequest job, uint32_t index = 0, int port = 0,
                  absl::Duration hold = absl::Seconds(2)) {
    ParameterService::Options options;
    options.apply_threads = 2;
    options.state_dir = state_dir;
    options.hold = hold;
    options.metrics = &metrics_;
    auto created = ParameterService::Create(options);
    REQUIRE_OK(created);
    service_ = *std::move(created);
    Open(&job, index);
    Listener listener({.address = absl::StrCat("127.0.0.1:", port)});
    service_->Register(listener.builder());
    auto started = listener.Start();
    REQUIRE_OK(started);
    server_ = *std::move(started);
    port_ = listener.port();
    service_->Start();
  }
  // In the order that ParameterService documents.
  ~ParameterServer() {
    service_->CancelStreams();
    server_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    service_->Shutdown();
  }

  int port() const { return port_; }
  // The metrics of the server.
  const Metrics& metrics() const { return metrics_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  v1::GetLedgersResponse Ledgers(const std::string& job_id) {
    v1::GetLedgersRequest request;
    request.set_job_id(job_id);
    v1::GetLedgersResponse response;
    REQUIRE(service_->GetLedgers(nullptr, &request, &response).ok());
    return response;
  }
  void Freeze(const std::string& job_id, uint64_t iteration, uint64_t epoch = 1) {
    v1::FreezeRequest request;
    request.set_job_id(job_id);
    request.set_epoch(epoch);
    request.set_iteration(iteration);
    v1::FreezeResponse response;
    REQUIRE(service_->Freeze(nullptr, &request, &response).ok());
  }
  void Persist(const std::string& job_id, uint64_t iteration, uint64_t epoch = 1) {
    v1::PersistRequest request;
    request.set_job_id(job_id);
    request.set_epoch(epoch);
    request.set_iteration(iteration);
    v1::PersistResponse response;
    REQUIRE(service_->Persist(nullptr, &request, &response).ok());
  }

 private:
  void Open(v1::OpenJobRequest* job, uint32_t index) {
    auto plan = ChunkPlan::Create(job->layout().elements(), job->chunk_elements(), job->servers());
    REQUIRE_OK(plan);
    job->clear_chunks();
    for (uint32_t chunk : plan->ChunksOf(index)) job->add_chunks(chunk);
    job->set_share(index);
    v1::OpenJobResponse response;
    const grpc::Status status = service_->OpenJob(nullptr, job, &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
  }

  Metrics metrics_;
  std::unique_ptr<ParameterService> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace samovar
