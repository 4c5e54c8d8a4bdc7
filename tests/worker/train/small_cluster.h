// A cluster for workers to train the small job on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/train/fake_coordinator.h"
#include "tests/worker/train/running_worker.h"
#include "tests/worker/train/small_job.h"

namespace samovar {

// The small job on two servers, and its coordinator. Nothing is leased yet.
class SmallCluster {
 public:
  SmallCluster() : SmallCluster([](v1::JobSpec*) {}) {}
  explicit SmallCluster(const std::function<void(v1::JobSpec*)>& change) : spec_(MakeJob(dir_.path())) {
    change(&spec_);
    for (uint32_t i = 0; i < 2; ++i) {
      servers_.push_back(std::make_unique<ParameterServer>(dir_.File(absl::StrCat("server", i)),
                                                           OpenRequestFor(spec_, 2, FakeCoordinator::kEpoch), i));
    }
    coordinator_.SetAssignment(spec_, addresses(), kChunkElements);
  }

  const TempDir& dir() const { return dir_; }
  const v1::JobSpec& spec() const { return spec_; }
  FakeCoordinator& coordinator() { return coordinator_; }
  ParameterServer& server(int index) { return *servers_[index]; }
  std::vector<std::string> addresses() const { return {servers_[0]->address(), servers_[1]->address()}; }

  std::unique_ptr<ParameterClient> Client() const {
    ParameterClient::Options options;
    options.job_id = spec_.job_id();
    options.elements = kElements;
    options.chunk_elements = kChunkElements;
    options.servers = addresses();
    auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
    REQUIRE_OK(client);
    return *std::move(client);
  }
  std::vector<float> Weights() const {
    std::vector<float> weights(kElements);
    REQUIRE_OK(Client()->Pull(weights, {SteadyNow() + absl::Seconds(60), nullptr}));
    return weights;
  }
  // The servers' job as another opening, of which the coordinator says nothing yet.
  void OpenAgain(uint64_t opening) {
    for (uint32_t i = 0; i < 2; ++i) {
      v1::OpenJobRequest request = OpenRequestFor(spec_, 2, FakeCoordinator::kEpoch);
      request.set_opening(opening);
      request.set_share(i);
      request.add_chunks(i);
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      v1::OpenJobResponse response;
      REQUIRE_OK(FromGrpcStatus(v1::ParameterService::NewStub(Dialer(RpcOptions()).Dial(servers_[i]->address()))
                                    ->OpenJob(&context, request, &response)));
    }
  }
  // Applied pushes, of all chunks together.
  uint64_t Applied() {
    return server(0).Ledgers(spec_.job_id()).counters().applied() +
           server(1).Ledgers(spec_.job_id()).counters().applied();
  }

 private:
  TempDir dir_;
  v1::JobSpec spec_;
  std::vector<std::unique_ptr<ParameterServer>> servers_;
  FakeCoordinator coordinator_;
};

}  // namespace samovar
