#include "benchmarks/transport/service_driver.h"

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/chunk_plan.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.grpc.pb.h"

namespace samovar {
namespace {

constexpr uint64_t kEpoch = 1;
constexpr absl::Duration kPatience = absl::Seconds(60);

WaitLimit Soon() { return {SteadyNow() + kPatience, nullptr}; }

v1::OpenJobRequest JobOf(const std::string& job_id, uint64_t elements) {
  v1::OpenJobRequest job;
  job.set_job_id(job_id);
  job.set_epoch(kEpoch);
  job.set_servers(1);
  job.set_chunk_elements(ChunkPlan::ChooseChunkElements(elements, /*apply_threads=*/1));
  job.mutable_layout()->set_elements(elements);
  v1::ParameterBlob* blob = job.mutable_layout()->add_blobs();
  blob->set_layer("ip");
  blob->add_shape(static_cast<int64_t>(elements));
  blob->set_lr_mult(1);
  blob->mutable_filler()->set_type("constant");
  for (uint32_t chunk = 0; uint64_t{chunk} * job.chunk_elements() < elements; ++chunk) job.add_chunks(chunk);
  job.mutable_solver()->set_type("SGD");
  job.mutable_solver()->set_base_lr(1e-3f);
  job.mutable_solver()->set_momentum(0.9f);
  job.mutable_solver()->set_weight_decay(5e-4f);
  job.mutable_solver()->set_lr_policy("fixed");
  job.mutable_solver()->set_max_iter(1 << 30);
  return job;
}

template <typename Request, typename Response>
absl::Status Call(const std::string& address,
                  grpc::Status (v1::ParameterService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request) {
  const std::unique_ptr<v1::ParameterService::Stub> stub = v1::ParameterService::NewStub(MakeChannel(address));
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  Response response;
  return FromGrpcStatus((stub.get()->*method)(&context, request, &response));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServiceDriver>> ServiceDriver::Start(const std::string& program, const std::string& directory,
                                                                    v1::Encoding encoding, uint32_t channels) {
  std::unique_ptr<ServiceDriver> driver(new ServiceDriver());
  driver->encoding_ = encoding;
  driver->channels_ = channels;
  ChildProcess::Options child;
  child.name = "server";
  child.program = program;
  child.arguments = {"--listen", "127.0.0.1:0", "--coordinator", "--state", absl::StrCat(directory, "/state"), "--apply-threads", "1",
                     "--log-level", "warning", "--die-with-parent"};
  child.reports_ready = true;
  child.log_path = absl::StrCat(directory, "/server.log");
  child.waker = &driver->waker_;
  SAMOVAR_ASSIGN_OR_RETURN(driver->server_, ChildProcess::Start(child));
  SAMOVAR_ASSIGN_OR_RETURN(driver->address_, driver->server_->AwaitReady(SteadyNow() + kPatience, [] { return false; }));
  return driver;
}

ServiceDriver::~ServiceDriver() {
  clients_.clear();
  server_->Signal(SIGTERM);
  const absl::Time deadline = SteadyNow() + absl::Seconds(10);
  while (!server_->ended() && SteadyNow() < deadline) waker_.Wait(deadline);
}

absl::Status ServiceDriver::Open(uint64_t elements, int clients, bool applies) {
  job_id_ = absl::StrCat("transport-", ++jobs_);
  applies_ = applies;
  iteration_ = 0;
  const v1::OpenJobRequest job = JobOf(job_id_, elements);
  SAMOVAR_RETURN_IF_ERROR(Call(address_, &v1::ParameterService::Stub::OpenJob, job));
  ParameterClient::Options options;
  options.job_id = job_id_;
  options.elements = elements;
  options.chunk_elements = job.chunk_elements();
  options.servers = {address_};
  options.encoding = encoding_;
  options.channels = channels_;
  for (int i = 0; i < clients; ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<ParameterClient> client, ParameterClient::Create(options));
    clients_.push_back(std::move(client));
    gradients_.emplace_back(elements, 1e-3f);
    weights_.emplace_back(elements, 0.0f);
  }
  for (int i = 0; i < clients; ++i) SAMOVAR_RETURN_IF_ERROR(Exchange(Direction::kFused, i));
  return absl::OkStatus();
}

absl::Status ServiceDriver::Close() {
  clients_.clear();
  gradients_.clear();
  weights_.clear();
  v1::CloseJobRequest request;
  request.set_job_id(job_id_);
  request.set_epoch(kEpoch);
  return Call(address_, &v1::ParameterService::Stub::CloseJob, request);
}

absl::Status ServiceDriver::Exchange(Direction direction, int number) {
  const size_t client = static_cast<size_t>(number);
  const uint64_t iteration = applies_ ? iteration_.fetch_add(1) : client;
  ParameterClient& parameters = *clients_[client];
  if (direction == Direction::kPull) return parameters.Pull(weights_[client], Soon());
  parameters.StartPush(iteration, kEpoch, gradients_[client],
                       direction == Direction::kFused ? std::span<float>(weights_[client]) : std::span<float>());
  parameters.Ready(0, parameters.elements());
  return parameters.AwaitPush(Soon()).status();
}

}  // namespace samovar
