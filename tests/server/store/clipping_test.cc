// Iterations whose parts the servers add up and clip.
#include <cmath>
#include <future>
#include <limits>
#include <string>
#include <vector>

#include "common/model/gradient_clip.h"
#include "tests/server/store/test_job.h"
#include "tests/server/store/test_server.h"
#include "tests/support/catch.h"
#include "tests/support/consistency.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr uint32_t kParts = 2;

// The limit is 50, half the norm of a gradient of ones; two passes an iteration.
v1::OpenJobRequest ClippedJob() {
  v1::OpenJobRequest job = MakeJob();
  *job.mutable_consistency() = SyncIn(kParts);
  job.mutable_solver()->set_clip_gradients(50);
  job.mutable_solver()->set_iter_size(2);
  return job;
}

v1::ExchangeRequest MakePart(uint64_t t, uint32_t part, float value) {
  v1::ExchangeRequest request = MakePush(t, value);
  request.set_part(part);
  return request;
}

v1::ExchangeRequest AskSquares(uint64_t t) {
  v1::ExchangeRequest request;
  request.set_job_id("job");
  request.set_iteration(t);
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) request.add_squares(chunk);
  return request;
}

v1::ExchangeRequest MakeApply(uint64_t t, double norm, uint64_t epoch = 1) {
  v1::ExchangeRequest request = MakeWaitingPull(t + 1);
  request.set_epoch(epoch);
  request.set_iteration(t);
  request.set_apply(true);
  request.set_norm(norm);
  return request;
}

double NormIn(const v1::ExchangeResponse& response) {
  std::vector<double> sums;
  REQUIRE(response.squares_size() == static_cast<int>(kChunks));
  for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
    const v1::ChunkSquares& squares = response.squares(static_cast<int>(chunk));
    REQUIRE(squares.chunk() == chunk);
    REQUIRE(static_cast<uint64_t>(squares.sums_size()) == SquaresBlocks(ChunkSize(chunk)));
    sums.insert(sums.end(), squares.sums().begin(), squares.sums().end());
  }
  return NormOf(sums);
}

bool HoldsNoSquares(const v1::ExchangeResponse& response) {
  bool none = response.squares_size() == static_cast<int>(kChunks);
  for (const v1::ChunkSquares& squares : response.squares()) none = none && squares.sums().empty();
  return none;
}

// The first float, which is 0.5 at the start.
float FirstWeight(TestClient* client) { return FloatsIn(client->AskOk(MakePull()).weights(0))[0]; }

struct Fixture {
  Fixture()
      : server(dir.path(), [](ParameterService::Options* options) { options->hold = absl::Milliseconds(100); }),
        client(server) {
    REQUIRE_OK(client.Open(ClippedJob()));
  }
  TempDir dir;
  TestServer server;
  TestClient client;
};

TEST_CASE_METHOD(Fixture,
                 "a sum is applied, clipped and divided by the passes, when the norm is known, and not before") {
  client.AskOk(MakePart(0, 0, 2));
  REQUIRE(client.AskOk(AskSquares(0)).not_yet());
  client.AskOk(MakePart(0, 1, 4));
  const double norm = NormIn(client.AskOk(AskSquares(0)));
  // 10,000 times 3.
  REQUIRE(norm == 300);
  REQUIRE(FirstWeight(&client) == 0.5f);
  const v1::ExchangeResponse applied = client.AskOk(MakeApply(0, norm));
  const float expected = 0.5f - kRate * (3 * (50.0f / 300) * 0.5f);
  REQUIRE(FloatsIn(applied.weights(0))[0] == expected);
  REQUIRE(applied.weights(0).version() == 1);
  REQUIRE(FirstWeight(&client) == expected);
}

TEST_CASE_METHOD(Fixture, "a sum whose norm is within the limit is only divided by the passes") {
  for (uint32_t part = 0; part < kParts; ++part) client.AskOk(MakePart(0, part, 0.25f));
  client.AskOk(MakeApply(0, NormIn(client.AskOk(AskSquares(0)))));
  REQUIRE(FirstWeight(&client) == 0.5f - kRate * 0.125f);
}

TEST_CASE_METHOD(Fixture, "parts, squares and norms that come again change nothing, whatever is in them") {
  for (uint32_t part = 0; part < kParts; ++part) client.AskOk(MakePart(0, part, 1));
  REQUIRE(client.AskOk(MakePart(0, 0, 77)).duplicates() == kChunks);
  const double norm = NormIn(client.AskOk(AskSquares(0)));
  // One that has told a chunk the norm dies; another, that has computed a part again, carries on.
  v1::ExchangeRequest first = MakeApply(0, norm);
  first.mutable_pull()->Truncate(1);
  client.AskOk(first);
  REQUIRE(client.AskOk(MakePart(0, 1, 88)).duplicates() == kChunks);
  REQUIRE(NormIn(client.AskOk(AskSquares(0))) == norm);
  client.AskOk(MakeApply(0, norm));
  const float expected = FirstWeight(&client);
  client.AskOk(MakeApply(0, 1));
  REQUIRE(FirstWeight(&client) == expected);
  // They stay until those of the next iteration are there.
  client.AskOk(MakePart(1, 0, 1));
  REQUIRE(NormIn(client.AskOk(AskSquares(0))) == norm);
  client.AskOk(MakePart(1, 1, 1));
  REQUIRE(HoldsNoSquares(client.AskOk(AskSquares(0))));
  client.AskOk(MakeApply(0, norm));
  REQUIRE(client.AskOk(MakePull()).weights(0).version() == 1);
}

TEST_CASE_METHOD(Fixture, "a sum that is not there yet cannot be applied, and none after a restart") {
  REQUIRE_STATUS(client.AskForError(MakeApply(0, 1)), absl::StatusCode::kFailedPrecondition,
                 "all parts of iteration 0");
  client.AskOk(MakePart(0, 0, 1));
  REQUIRE_STATUS(client.AskForError(MakeApply(0, 1)), absl::StatusCode::kFailedPrecondition, "all parts");
  client.AskOk(MakePart(0, 1, 1));
  REQUIRE_STATUS(client.AskForError(MakeApply(1, 1)), absl::StatusCode::kFailedPrecondition, "iteration 1");
  // A sum that waits for its norm is in no snapshot.
  REQUIRE_OK(client.Freeze(7));
  REQUIRE_OK(client.Persist(7));
  REQUIRE_OK(client.Close());
  v1::OpenJobRequest again = ClippedJob();
  again.set_restore(true);
  again.set_restore_iteration(7);
  REQUIRE_OK(client.Open(again));
  REQUIRE_STATUS(client.AskForError(MakeApply(0, 1)), absl::StatusCode::kFailedPrecondition,
                 "all parts of iteration 0");
  for (uint32_t part = 0; part < kParts; ++part) REQUIRE(client.AskOk(MakePart(0, part, 1)).applied() == kChunks);
  client.AskOk(MakeApply(0, NormIn(client.AskOk(AskSquares(0)))));
  REQUIRE(client.AskOk(MakePull()).weights(0).version() == 1);
}

TEST_CASE_METHOD(Fixture, "pulls that wait for an iteration wait until it is applied") {
  TestClient waiting(server);
  for (uint32_t part = 0; part < kParts; ++part) client.AskOk(MakePart(0, part, 1));
  REQUIRE(waiting.AskOk(MakeWaitingPull(1)).not_yet());
  client.AskOk(MakeApply(0, 100));
  REQUIRE_FALSE(waiting.AskOk(MakeWaitingPull(1)).not_yet());
}

TEST_CASE_METHOD(Fixture, "what does not go together is refused") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  for (const double norm : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    REQUIRE_STATUS(client.AskForError(MakeApply(0, norm)), invalid, "the norm of a gradient");
  }
  v1::ExchangeRequest both = AskSquares(0);
  both.add_pull(0);
  REQUIRE_STATUS(client.AskForError(both), invalid, "do not go together");
  both = AskSquares(0);
  AddPush(&both, 0, std::vector<float>(ChunkSize(0)));
  REQUIRE_STATUS(client.AskForError(both), invalid, "do not go together");
  both = AskSquares(0);
  both.add_squares(kChunks);
  REQUIRE_STATUS(client.AskForError(both), invalid, "4 chunks");
  both.mutable_squares()->Set(0, kChunks);
  both.mutable_squares()->RemoveLast();
  REQUIRE_STATUS(client.AskForError(both), invalid, "chunk 3");
  REQUIRE_STATUS(client.AskForError(AskSquares(1000)), invalid, "which has max_iter 1000");
  client.AskOk(MakePart(0, 0, 1));
  v1::ExchangeRequest newer = MakePart(0, 0, 1);
  newer.set_epoch(2);
  REQUIRE_STATUS(client.AskForError(newer), absl::StatusCode::kFailedPrecondition, "epoch 2 is newer than 1");
  REQUIRE_OK(client.Freeze(0, 2));
  REQUIRE_STATUS(client.AskForError(MakeApply(0, 1)), absl::StatusCode::kFailedPrecondition, "epoch 1 is older");
}

TEST_CASE("a job that workers clip, or nobody, has no squares") {
  TempDir dir;
  TestServer server(dir.path());
  TestClient client(server);
  v1::OpenJobRequest job = ClippedJob();
  SECTION("in one part") { *job.mutable_consistency() = SyncIn(1); }
  SECTION("without a limit") { job.mutable_solver()->clear_clip_gradients(); }
  REQUIRE_OK(client.Open(job));
  REQUIRE_STATUS(client.AskForError(AskSquares(0)), absl::StatusCode::kInvalidArgument,
                 "clip_gradients and several parts");
  REQUIRE_STATUS(client.AskForError(MakeApply(0, 1)), absl::StatusCode::kInvalidArgument,
                 "clip_gradients and several parts");
}

}  // namespace
}  // namespace samovar
