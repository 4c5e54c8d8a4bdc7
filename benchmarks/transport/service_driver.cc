#include "benchmarks/transport/service_driver.h"

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/dialer.h"

namespace samovar {
namespace {

WaitLimit Soon() { return {SteadyNow() + absl::Seconds(60), nullptr}; }

v1::ParameterLayout OneBlob(uint64_t elements) {
  v1::ParameterLayout layout;
  layout.set_elements(elements);
  v1::ParameterBlob* blob = layout.add_blobs();
  blob->set_layer("ip");
  blob->add_shape(static_cast<int64_t>(elements));
  blob->set_lr_mult(1);
  blob->mutable_filler()->set_type("constant");
  return layout;
}

caffe::SolverParameter MomentumSolver() {
  caffe::SolverParameter solver;
  solver.set_type("SGD");
  solver.set_base_lr(1e-3f);
  solver.set_momentum(0.9f);
  solver.set_weight_decay(5e-4f);
  solver.set_lr_policy("fixed");
  solver.set_max_iter(1 << 30);
  return solver;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServiceDriver>> ServiceDriver::Start(const std::string& program,
                                                                    const std::string& directory, v1::Encoding encoding,
                                                                    uint32_t channels) {
  std::unique_ptr<ServiceDriver> driver(new ServiceDriver());
  driver->encoding_ = encoding;
  driver->channels_ = channels;
  SAMOVAR_ASSIGN_OR_RETURN(driver->server_, ServerProcess::Start(program, directory));
  return driver;
}

absl::Status ServiceDriver::Open(uint64_t elements, int clients, bool applies) {
  job_id_ = absl::StrCat("transport-", ++jobs_);
  applies_ = applies;
  iteration_ = 0;
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t chunk_elements, server_->Open(job_id_, OneBlob(elements), MomentumSolver()));
  ParameterClient::Options options;
  options.job_id = job_id_;
  options.elements = elements;
  options.chunk_elements = chunk_elements;
  options.servers = {server_->address()};
  options.encoding = encoding_;
  options.channels = channels_;
  for (int i = 0; i < clients; ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<ParameterClient> client,
                             ParameterClient::Create(options, Dialer(RpcOptions())));
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
  return server_->Close(job_id_);
}

absl::Status ServiceDriver::Exchange(Direction direction, int number) {
  const size_t client = static_cast<size_t>(number);
  const uint64_t iteration = applies_ ? iteration_.fetch_add(1) : client;
  ParameterClient& parameters = *clients_[client];
  if (direction == Direction::kPull) return parameters.Pull(weights_[client], Soon());
  parameters.StartPush(iteration, ServerProcess::kEpoch, gradients_[client],
                       direction == Direction::kFused ? std::span<float>(weights_[client]) : std::span<float>());
  parameters.Ready(0, parameters.elements());
  return parameters.AwaitPush(Soon()).status();
}

}  // namespace samovar
