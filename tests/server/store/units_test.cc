// Pushes of units of iterations (push_every), at one chunk and at a server.
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "server/store/chunk.h"
#include "tests/server/store/test_server.h"
#include "tests/support/consistency.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using Floats = std::vector<float>;

std::unique_ptr<const SolverRule> Rule(float momentum) {
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      "max_iter: 100 lr_policy: 'fixed' base_lr: 0.1 weight_decay: 0.5", &solver));
  solver.set_momentum(momentum);
  auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  return *std::move(rule);
}

// One weight that is learned and one that is a statistic, of which a push leaves a half.
std::unique_ptr<Chunk> MakeChunk(uint32_t push_every) {
  ChunkImage image;
  image.weights = {1, 8};
  image.state = {{0, 0}};
  RuleSegment learned{0, 1, 1, 1};
  RuleSegment statistic{1, 2};
  statistic.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  statistic.moving_average_fraction = 0.5f;
  return std::make_unique<Chunk>(std::move(image), std::vector<RuleSegment>{learned, statistic},
                                 Chunk::Options{.push_every = push_every});
}

TEST_CASE("a displacement moves the weights as it is, without rate and decay, and momentum goes on from push to push") {
  for (const float momentum : {0.0f, 0.9f}) {
    const auto rule = Rule(momentum);
    const auto chunk = MakeChunk(4);
    float weight = 1;
    float history = 0;
    for (uint64_t unit = 0; unit < 5; ++unit) {
      const float moved = 0.1f / static_cast<float>(unit + 1);
      REQUIRE_OK(chunk->Push(*rule, 4 * unit, 4 * unit, Floats{moved, 0}, 0, 4));
      history = momentum * history + moved;
      weight -= history;
      REQUIRE(chunk->image().weights[0] == weight);
    }
    // Versions count iterations, applied and staleness pushes.
    CHECK(chunk->image().version == 20);
    CHECK(chunk->counters().applied() == 5);
    CHECK(chunk->counters().staleness_max() == 0);
  }
}

TEST_CASE("a unit enters the ledger whole, and once") {
  const auto rule = Rule(0);
  const auto chunk = MakeChunk(4);
  REQUIRE(*chunk->Push(*rule, 4, 0, Floats{0.25f, 0}, 0, 4));
  CHECK(chunk->image().ledger.Missing(0, 10) == std::vector<IterationRange>{{0, 4}, {8, 10}});
  REQUIRE_FALSE(*chunk->Push(*rule, 4, 0, Floats{0.25f, 0}, 0, 4));
  REQUIRE(*chunk->Push(*rule, 0, 4, Floats{0.25f, 0}, 0, 4));
  // max_iter is 10.
  REQUIRE(*chunk->Push(*rule, 8, 8, Floats{0.25f, 0}, 0, 2));
  REQUIRE_FALSE(*chunk->Push(*rule, 8, 10, Floats{0.25f, 0}, 0, 2));
  CHECK(chunk->image().ledger.watermark() == 10);
  CHECK(chunk->image().weights[0] == 0.25f);
  CHECK(chunk->counters().duplicates() == 2);
}

TEST_CASE("a displacement that is not finite is refused, and nothing of the unit is held") {
  const auto rule = Rule(0);
  const auto chunk = MakeChunk(4);
  REQUIRE_STATUS(chunk->Push(*rule, 0, 0, Floats{1.0f / 0.0f, 0}, 0, 4), absl::StatusCode::kInvalidArgument,
                 "infinity");
  CHECK(chunk->image().ledger.size() == 0);
  CHECK(chunk->image().weights == Floats{1, 8});
}

TEST_CASE("displacements that are late are applied as late gradients are, and have their whole effect") {
  const auto rule = Rule(0);
  const auto chunk = MakeChunk(4);
  const auto push = [&](uint64_t unit, float moved) {
    REQUIRE_OK(chunk->Push(*rule, 4 * unit, 4 * (unit - std::min<uint64_t>(unit, 3)), Floats{moved, 0}, 0, 4));
  };
  // The warm-up is over after 20 pushes, not iterations.
  for (uint64_t unit = 0; unit < 19; ++unit) push(unit, 0);
  CHECK(chunk->counters().staleness_max() == 3);
  push(19, 0.5f);
  // M = 1 + 4 * 3
  CHECK(chunk->image().weights[0] == Approx(1 - 0.5 / 13));
  float pulled[2];
  chunk->WritePulled(*rule, {}, reinterpret_cast<char*>(pulled));
  CHECK(pulled[0] == Approx(1 - 0.5 * (1 - std::pow(12.0 / 13, 10))));
  for (uint64_t unit = 20; unit < 300; ++unit) push(unit, 0);
  CHECK(chunk->image().weights[0] == Approx(0.5));
}

TEST_CASE("statistics of a unit are merged as pushes one after the other would be") {
  const auto rule = Rule(0);
  const auto plain = MakeChunk(1);
  const auto chunk = MakeChunk(3);
  float merged = 0;
  for (uint64_t t = 0; t < 3; ++t) {
    const float measured = static_cast<float>(t + 1);
    REQUIRE_OK(plain->Push(*rule, t, t, Floats{0, measured}));
    merged = 0.5f * merged + measured;
  }
  REQUIRE_OK(chunk->Push(*rule, 0, 0, Floats{0, merged}, 0, 3));
  // Powers of two: exact.
  CHECK(chunk->image().weights[1] == plain->image().weights[1]);
}

v1::OpenJobRequest JobOfUnits(uint32_t push_every) {
  v1::OpenJobRequest job = MakeJob();
  job.mutable_solver()->set_max_iter(10);
  job.mutable_consistency()->set_push_every(push_every);
  return job;
}

v1::ExchangeRequest PushOf(uint64_t t, uint32_t iterations) {
  v1::ExchangeRequest push = MakePush(t, kRate);
  push.set_iterations(iterations);
  return push;
}

struct Fixture {
  TempDir directory;
  TestServer server{directory.path()};
  TestClient client{server};

  void CheckLedgers(const std::vector<IterationRange>& missing) {
    const auto ledgers = client.Ledgers();
    REQUIRE_OK(ledgers);
    for (const v1::ChunkLedger& chunk : ledgers->ledgers()) {
      const auto ledger = Ledger::FromProto(chunk.ledger());
      REQUIRE_OK(ledger);
      CHECK(ledger->Missing(0, 10) == missing);
    }
  }
};

TEST_CASE_METHOD(
    Fixture, "of a worker that died while it pushed a unit the chunks that have it drop it when another pushes it") {
  REQUIRE_OK(client.Open(JobOfUnits(4)));
  v1::ExchangeRequest half = PushOf(4, 4);
  half.mutable_push()->DeleteSubrange(1, 2);
  CHECK(client.AskOk(half).applied() == 1);
  const v1::ExchangeResponse whole = client.AskOk(PushOf(4, 4));
  CHECK(whole.applied() == 2);
  CHECK(whole.duplicates() == 1);
  CheckLedgers({{0, 4}, {8, 10}});
  CHECK(client.AskOk(PushOf(0, 4)).applied() == kChunks);
  CHECK(client.AskOk(PushOf(8, 2)).applied() == kChunks);
  CHECK(client.AskOk(PushOf(8, 2)).duplicates() == kChunks);
  CheckLedgers({});
  // Three units, each once.
  CHECK(FloatsIn(client.AskOk(MakePull()).weights(0))[0] == 0.5f - 3 * kRate);
}

TEST_CASE_METHOD(Fixture, "what is not a whole unit is refused") {
  REQUIRE_OK(client.Open(JobOfUnits(4)));
  for (const auto& [t, iterations] : std::vector<std::pair<uint64_t, uint32_t>>{
           {0, 0}, {0, 1}, {0, 3}, {0, 5}, {0, 8}, {1, 4}, {2, 2}, {8, 4}, {9, 1}}) {
    INFO(t << " " << iterations);
    REQUIRE_STATUS(client.AskForError(PushOf(t, iterations)), absl::StatusCode::kInvalidArgument,
                   "whole units of 4 iterations");
  }
  CheckLedgers({{0, 10}});
}

TEST_CASE_METHOD(Fixture, "a job without units takes one iteration a push") {
  for (const uint32_t push_every : {0, 1}) {
    v1::OpenJobRequest job = JobOfUnits(push_every);
    REQUIRE_OK(client.Open(job));
    REQUIRE_STATUS(client.AskForError(PushOf(0, 2)), absl::StatusCode::kInvalidArgument, "whole units of 1 iterations");
    CHECK(client.AskOk(PushOf(0, 0)).applied() == kChunks);
    CHECK(client.AskOk(PushOf(1, 1)).applied() == kChunks);
    REQUIRE_OK(client.Close());
  }
}

TEST_CASE_METHOD(Fixture, "a job that its servers cannot apply in units is not opened") {
  v1::OpenJobRequest job = JobOfUnits(4);
  job.mutable_consistency()->MergeFrom(SyncIn(1));
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kInvalidArgument, "push_every 4 keeps iterations at the worker");
  job = JobOfUnits(4);
  job.mutable_solver()->set_type("Adam");
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kInvalidArgument, "write type: \"SGD\"");
  REQUIRE_OK(client.Open(JobOfUnits(4)));
  REQUIRE_STATUS(client.Open(JobOfUnits(2)), absl::StatusCode::kFailedPrecondition,
                 "another mode: async, a push every 4 iterations");
}

TEST_CASE_METHOD(Fixture, "a snapshot that ends within a unit is not restored") {
  REQUIRE_OK(client.Open(JobOfUnits(2)));
  CHECK(client.AskOk(PushOf(0, 2)).applied() == kChunks);
  REQUIRE_OK(client.Freeze(2));
  REQUIRE_OK(client.Persist(2));
  REQUIRE_OK(client.Close());
  v1::OpenJobRequest job = JobOfUnits(4);
  job.set_restore(true);
  job.set_restore_iteration(2);
  REQUIRE_STATUS(client.Open(job), absl::StatusCode::kFailedPrecondition, "choose one that divides 2, or 1");
  job.mutable_consistency()->set_push_every(2);
  REQUIRE_OK(client.Open(job));
  CheckLedgers({{2, 10}});
}

}  // namespace
}  // namespace samovar
