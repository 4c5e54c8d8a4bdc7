// Pulls that wait for iterations of other workers.
#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/store/test_job.h"
#include "tests/server/store/test_server.h"
#include "tests/support/catch.h"
#include "tests/support/consistency.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// A server that makes nobody wait for longer than this.
constexpr absl::Duration kHold = absl::Milliseconds(100);

void ShortHold(ParameterService::Options* options) { options->hold = kHold; }
// Longer than any test.
void LongHold(ParameterService::Options* options) { options->hold = absl::Hours(1); }

bool HoldsWeights(const v1::ExchangeResponse& response, uint64_t version) {
  return response.weights_size() == static_cast<int>(kChunks) &&
         std::all_of(response.weights().begin(), response.weights().end(),
                     [version](const v1::ChunkData& data) { return data.version() == version; });
}

TEST_CASE("a pull that names a watermark is answered when all chunks are there, not before") {
  TempDir dir;
  TestServer server(dir.path(), LongHold);
  TestClient waiting(server);
  TestClient pushing(server);
  REQUIRE_OK(pushing.Open());
  REQUIRE(HoldsWeights(waiting.AskOk(MakeWaitingPull(0)), 0));

  REQUIRE(waiting.Send(MakeWaitingPull(2)));
  v1::ExchangeResponse answer;
  std::future<bool> received = std::async(std::launch::async, [&] { return waiting.Receive(&answer); });
  pushing.AskOk(MakePush(1, 1));
  // All chunks but the last have 0 as well.
  v1::ExchangeRequest first = MakePush(0, 1);
  first.mutable_push()->RemoveLast();
  pushing.AskOk(first);
  REQUIRE(received.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout);
  pushing.AskOk(MakePush(0, 1));
  REQUIRE(received.get());
  REQUIRE(answer.code() == 0);
  REQUIRE_FALSE(answer.not_yet());
  REQUIRE(HoldsWeights(answer, 2));
}

TEST_CASE("a pull that waits for too long is told to come again, and finds its weights then") {
  TempDir dir;
  TestServer server(dir.path(), ShortHold);
  TestClient client(server);
  REQUIRE_OK(client.Open());
  const v1::ExchangeResponse answer = client.AskOk(MakeWaitingPull(1));
  REQUIRE(answer.not_yet());
  REQUIRE(answer.weights().empty());
  client.AskOk(MakePush(0, 1));
  REQUIRE(HoldsWeights(client.AskOk(MakeWaitingPull(1)), 1));
}

TEST_CASE("a request that pushes does not wait: its pushes are done, and its pull is to be repeated") {
  TempDir dir;
  TestServer server(dir.path(), LongHold);
  TestClient client(server);
  REQUIRE_OK(client.Open());
  v1::ExchangeRequest fused = MakePush(1, 1);
  *fused.mutable_pull() = MakePull().pull();
  fused.set_waits(true);
  fused.set_watermark(2);
  const v1::ExchangeResponse early = client.AskOk(fused);
  REQUIRE(early.applied() == kChunks);
  REQUIRE(early.not_yet());
  REQUIRE(early.weights().empty());

  fused.set_iteration(0);
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) fused.mutable_push(static_cast<int>(chunk))->set_version(0);
  const v1::ExchangeResponse there = client.AskOk(fused);
  REQUIRE_FALSE(there.not_yet());
  REQUIRE(HoldsWeights(there, 2));
}

TEST_CASE("more pulls than a server holds are refused, those that need not wait are not") {
  TempDir dir;
  TestServer server(dir.path(), [](ParameterService::Options* options) {
    LongHold(options);
    options->max_held_pulls = 2;
  });
  TestClient first(server);
  TestClient second(server);
  REQUIRE_OK(first.Open());
  for (int i = 0; i < 3; ++i) REQUIRE(first.Send(MakeWaitingPull(1)));
  v1::ExchangeResponse refused;
  REQUIRE(first.Receive(&refused));
  REQUIRE(refused.code() == static_cast<int>(absl::StatusCode::kResourceExhausted));
  // Frees their places.
  second.AskOk(MakePush(0, 1));
  for (int i = 0; i < 2; ++i) {
    v1::ExchangeResponse answer;
    REQUIRE(first.Receive(&answer));
    REQUIRE(answer.code() == 0);
  }
  REQUIRE(HoldsWeights(first.AskOk(MakeWaitingPull(1)), 1));
}

TEST_CASE("a pull that waits for an iteration is answered when the iteration is skipped, whole or in its last part") {
  const uint32_t parts = GENERATE(0u, 1u, 2u);
  TempDir dir;
  TestServer server(dir.path(), LongHold);
  TestClient waiting(server);
  TestClient skipping(server);
  v1::OpenJobRequest job = MakeJob();
  *job.mutable_consistency() = SyncIn(parts);
  REQUIRE_OK(skipping.Open(job));
  REQUIRE(waiting.Send(MakeWaitingPull(1)));
  v1::ExchangeResponse answer;
  std::future<bool> received = std::async(std::launch::async, [&] { return waiting.Receive(&answer); });
  for (uint32_t part = 0; part < std::max(1u, parts); ++part) REQUIRE_OK(skipping.Skip(0, part));
  // Within any deadline but the hold itself.
  const bool woken = received.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
  if (!woken) server.Stop();
  REQUIRE(woken);
  REQUIRE(received.get());
  REQUIRE_FALSE(answer.not_yet());
  REQUIRE(HoldsWeights(answer, 1));
}

TEST_CASE("what waits for a job ends with the job") {
  TempDir dir;
  TestServer server(dir.path(), LongHold);
  TestClient waiting(server);
  TestClient other(server);
  REQUIRE_OK(other.Open());
  REQUIRE(waiting.Send(MakeWaitingPull(1)));
  std::future<v1::ExchangeResponse> received = std::async(std::launch::async, [&] {
    v1::ExchangeResponse answer;
    waiting.Receive(&answer);
    return answer;
  });
  REQUIRE_OK(other.Close());
  REQUIRE(received.get().code() == static_cast<int>(absl::StatusCode::kNotFound));
}

TEST_CASE("what waits ends with its stream, and with the server, at once") {
  TempDir dir;
  TestServer server(dir.path(), LongHold);
  auto gone = std::make_unique<TestClient>(server);
  TestClient waiting(server);
  REQUIRE_OK(gone->Open());
  REQUIRE(gone->Send(MakeWaitingPull(1)));
  REQUIRE(waiting.Send(MakeWaitingPull(1)));
  gone.reset();
  // Would not return while a request is not answered.
  server.Stop();
  v1::ExchangeResponse answer;
  waiting.Receive(&answer);
  REQUIRE(answer.weights().empty());
}

TEST_CASE("a pull does not wait for what will not be") {
  TempDir dir;
  TestServer server(dir.path(), LongHold);
  TestClient client(server);
  REQUIRE_OK(client.Open());
  REQUIRE_STATUS(client.AskForError(MakeWaitingPull(1001)), absl::StatusCode::kInvalidArgument, "max_iter 1000");
  v1::ExchangeRequest frozen = MakeWaitingPull(1);
  frozen.set_frozen(true);
  REQUIRE_STATUS(client.AskForError(frozen), absl::StatusCode::kInvalidArgument, "frozen");
  v1::ExchangeRequest elsewhere = MakeWaitingPull(1);
  elsewhere.add_pull(77);
  REQUIRE_OK(client.Freeze(0));
  client.AskOk(MakePush(0, 1));
  REQUIRE_STATUS(client.AskForError(elsewhere), absl::StatusCode::kInvalidArgument, "chunk 77");
}

}  // namespace
}  // namespace samovar
