// ParameterClient with --encoding topk, against real servers.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/parameters/parameter_client.h"
#include "common/rpc/dialer.h"
#include "tests/common/parameters/client_job.h"
#include "tests/common/parameters/parameter_server.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Another worker's push, not sparse.
void PushAll(const std::string& server, uint64_t t, float gradient) {
  const auto client = ParameterClient::Create({"job", kElements, kChunkElements, {server}}, Dialer(RpcOptions()));
  REQUIRE_OK(client);
  const std::vector<float> gradients(kElements, gradient);
  (*client)->StartPush(t, 1, gradients, {});
  (*client)->Ready(0, kElements);
  REQUIRE_OK((*client)->AwaitPush(Soon()));
}

std::unique_ptr<ParameterClient> MakeTopkClient(const std::vector<std::string>& servers) {
  ParameterClient::Options options{"job", kElements, kChunkElements, servers};
  options.encoding = v1::ENCODING_SPARSE;
  options.topk_ratio = 0.01;
  auto client = ParameterClient::Create(options, Dialer(RpcOptions()));
  REQUIRE_OK(client);
  return *std::move(client);
}

// Whole numbers up to 100.
std::vector<float> Mixture(uint64_t t) {
  std::vector<float> gradients(kElements);
  for (size_t i = 0; i < kElements; ++i) gradients[i] = static_cast<float>((i * (7 + t) + i / 97) % 201) - 100;
  return gradients;
}

absl::StatusOr<ParameterClient::PushResult> PushMixture(ParameterClient* client, uint64_t t, bool in_full,
                                                        std::span<float> weights) {
  const std::vector<float> gradients = Mixture(t);
  client->StartPush(t, 1, gradients, weights, {}, 0, in_full);
  client->Ready(0, kElements);
  return client->AwaitPush(Soon());
}

TEST_CASE("what a client has kept goes to the client that follows it, and from there into the model") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1));
  auto before = MakeTopkClient({server.address()});
  std::vector<float> weights(kElements);
  REQUIRE_OK(before->Pull(weights, Soon()));
  REQUIRE_OK(PushMixture(before.get(), 0, /*in_full=*/false, {}));
  const double norm = before->ResidualNorm();
  CHECK(norm > 0);
  const auto after = MakeTopkClient({server.address()});
  after->AdoptResidual(before->ReleaseResidual());
  before.reset();
  CHECK(after->ResidualNorm() == norm);
  REQUIRE_OK(after->Pull(weights, Soon()));
  REQUIRE_OK(PushMixture(after.get(), 1, /*in_full=*/true, weights));
  std::vector<float> expected(kElements, kInitial);
  for (const uint64_t t : {0, 1}) {
    const std::vector<float> gradients = Mixture(t);
    for (size_t i = 0; i < kElements; ++i) expected[i] -= kRate * gradients[i];
  }
  CHECK(weights == expected);
}

TEST_CASE("of the largest alone few weights change, and with a push in full all that was pushed is in them") {
  TempDir dir;
  ParameterServer first(dir.File("0"), MakeJob(2), 0);
  ParameterServer second(dir.File("1"), MakeJob(2), 1);
  const auto client = MakeTopkClient({first.address(), second.address()});
  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(client->Pull(weights, Soon()));
  REQUIRE(weights == std::vector<float>(kElements, kInitial));
  constexpr uint64_t kPushes = 6;
  std::vector<float> expected(kElements, kInitial);
  for (uint64_t t = 0; t < kPushes; ++t) {
    REQUIRE_OK(PushMixture(client.get(), t, /*in_full=*/t + 1 == kPushes, weights));
    const std::vector<float> gradients = Mixture(t);
    for (size_t i = 0; i < kElements; ++i) expected[i] -= kRate * gradients[i];
    if (t > 0) continue;
    const auto changed = kElements - static_cast<uint64_t>(std::count(weights.begin(), weights.end(), kInitial));
    CHECK(changed > kElements / 110);
    CHECK(changed < kElements / 90);
    CHECK(client->ResidualNorm() > 0);
  }
  CHECK(weights == expected);
  CHECK(client->ResidualNorm() == 0);
}

TEST_CASE("of a push that came too late nothing is kept, and what was kept before is sent all the same") {
  TempDir dir;
  ParameterServer server(dir.File("0"), MakeJob(1), 0);
  const auto client = MakeTopkClient({server.address()});
  std::vector<float> weights(kElements, -1);
  REQUIRE_OK(PushMixture(client.get(), 0, false, weights));
  const double norm = client->ResidualNorm();
  // Somebody else's iteration 1.
  PushAll(server.address(), 1, 2);
  const auto late = PushMixture(client.get(), 1, false, weights);
  REQUIRE_OK(late);
  CHECK(late->duplicates == kChunks);
  CHECK(client->ResidualNorm() == norm);
  REQUIRE_OK(PushMixture(client.get(), 2, /*in_full=*/true, weights));
  const std::vector<float> first = Mixture(0), last = Mixture(2);
  std::vector<float> expected(kElements);
  for (size_t i = 0; i < kElements; ++i) expected[i] = kInitial - kRate * (first[i] + 2 + last[i]);
  CHECK(weights == expected);
}

TEST_CASE("a ratio that is none is refused") {
  ParameterClient::Options options{"job", kElements, kChunkElements, {"127.0.0.1:1"}};
  options.encoding = v1::ENCODING_SPARSE;
  REQUIRE_STATUS(ParameterClient::Create(options, Dialer(RpcOptions())), absl::StatusCode::kInvalidArgument,
                 "above 0 and at most 1, not 0");
}

}  // namespace
}  // namespace samovar
