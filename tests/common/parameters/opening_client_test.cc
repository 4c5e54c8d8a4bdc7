// A client names the opening that its work belongs to.
#include <memory>
#include <vector>

#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "tests/common/parameters/client_job.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/support/consistency.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::unique_ptr<ParameterClient> MakeClient(const ParameterServer& server, uint64_t opening) {
  ParameterClient::Options options;
  options.job_id = "job";
  options.elements = kElements;
  options.chunk_elements = kChunkElements;
  options.servers = {server.address()};
  options.opening = opening;
  auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
  REQUIRE_OK(client);
  return *std::move(client);
}

absl::Status Push(ParameterClient* client, uint64_t t, uint32_t part = 0) {
  const std::vector<float> gradients(kElements, 1);
  client->StartPush(t, /*epoch=*/1, gradients, {}, {}, part);
  client->Ready(0, kElements);
  return client->AwaitPush(Soon()).status();
}

TEST_CASE("pushes of another opening than the servers' fail at once, and pulls do not") {
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(1);
  job.set_opening(2);
  const ParameterServer server(dir.File("0"), job);
  const auto late = MakeClient(server, 1);
  REQUIRE_STATUS(Push(late.get(), 0), absl::StatusCode::kFailedPrecondition, "the call is of opening 1");
  std::vector<float> weights(kElements);
  REQUIRE_OK(late->Pull(weights, Soon()));
  CHECK(weights[0] == kInitial);
  REQUIRE_OK(Push(MakeClient(server, 2).get(), 0));
}

TEST_CASE("a norm of another opening than the servers' fails at once") {
  TempDir dir;
  v1::OpenJobRequest job = MakeJob(1);
  job.set_opening(2);
  *job.mutable_consistency() = SyncIn(2);
  job.mutable_solver()->set_clip_gradients(1e6f);
  const ParameterServer server(dir.File("0"), job);
  const auto client = MakeClient(server, 2);
  for (const uint32_t part : {0, 1}) REQUIRE_OK(Push(client.get(), 0, part));
  std::vector<float> weights(kElements);
  REQUIRE_STATUS(MakeClient(server, 1)->ApplyAndPull(0, /*epoch=*/1, 1, weights, Soon()),
                 absl::StatusCode::kFailedPrecondition, "the call is of opening 1");
  REQUIRE_OK(client->ApplyAndPull(0, /*epoch=*/1, 1, weights, Soon()));
  CHECK(weights[0] == kInitial - kRate);
}

}  // namespace
}  // namespace samovar
