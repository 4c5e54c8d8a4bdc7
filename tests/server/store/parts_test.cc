// Iterations that come in parts, at one chunk.
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "server/store/chunk.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using Floats = std::vector<float>;

std::unique_ptr<const SolverRule> Rule(float momentum = 0.9f) {
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString("max_iter: 100 lr_policy: 'fixed' base_lr: 0.1", &solver));
  solver.set_momentum(momentum);
  auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  return *std::move(rule);
}

// One weight that is learned and one that is a statistic, of which a push leaves a half.
std::unique_ptr<Chunk> MakeChunk(uint32_t parts) {
  ChunkImage image;
  image.weights = {1, 8};
  image.state = {{0, 0}};
  RuleSegment learned{0, 1, 1, 1};
  RuleSegment statistic{1, 2};
  statistic.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  statistic.moving_average_fraction = 0.5f;
  return std::make_unique<Chunk>(std::move(image), std::vector<RuleSegment>{learned, statistic},
                                 Chunk::Options{.parts = parts});
}

Floats Pulled(Chunk& chunk, uint64_t watermark) {
  const auto rule = Rule();
  Floats values(chunk.image().weights.size());
  chunk.WritePulled(*rule, watermark, reinterpret_cast<char*>(values.data()));
  return values;
}

TEST_CASE("an iteration of which a part is skipped is in the ledger and changes nothing, whatever part it is") {
  const auto rule = Rule();
  for (const uint32_t skipped : {0u, 1u, 2u}) {
    const auto chunk = MakeChunk(3);
    const Floats before = chunk->image().weights;
    for (const uint32_t part : {2u, 0u, 1u}) {
      const auto taken = part == skipped ? chunk->Skip(0, part) : chunk->Push(*rule, 0, 0, Floats{1, 1}, part);
      REQUIRE_OK(taken);
      REQUIRE(*taken);
    }
    REQUIRE(chunk->image().ledger.watermark() == 1);
    REQUIRE(chunk->image().version == 1);
    REQUIRE(chunk->image().weights == before);
    REQUIRE(chunk->counters().skipped() == 1);
    // A worker that computes a part of it again finds the same weights, and its push is dropped.
    REQUIRE(Pulled(*chunk, 0) == before);
    const auto again = chunk->Push(*rule, 0, 0, Floats{1, 1}, 1);
    REQUIRE_OK(again);
    REQUIRE_FALSE(*again);
    // The next one is applied as ever.
    for (const uint32_t part : {0u, 1u, 2u}) REQUIRE_OK(chunk->Push(*rule, 1, 1, Floats{1, 1}, part));
    REQUIRE(chunk->image().ledger.watermark() == 2);
    REQUIRE(chunk->image().weights[0] == before[0] - 0.1f);
  }
  const auto chunk = MakeChunk(3);
  REQUIRE_STATUS(chunk->Skip(1, 0), absl::StatusCode::kFailedPrecondition, "takes iteration 0 next");
  REQUIRE_STATUS(chunk->Skip(0, 3), absl::StatusCode::kInvalidArgument, "there is no part 3");
}

TEST_CASE("parts are added up in the order of their tree, in whatever order they come") {
  const auto rule = Rule();
  constexpr uint32_t kParts = 6;
  std::mt19937 random(1);
  // Of different magnitudes, so that another order of additions would show.
  std::vector<Floats> parts;
  for (uint32_t p = 0; p < kParts; ++p) {
    parts.push_back(
        {std::ldexp(1.0f + static_cast<float>(random() % 1000) / 999, static_cast<int>(random() % 20) - 10), 1});
  }
  const float sum = ((parts[0][0] + parts[1][0]) + (parts[2][0] + parts[3][0])) + (parts[4][0] + parts[5][0]);

  std::vector<uint32_t> order(kParts);
  std::iota(order.begin(), order.end(), 0u);
  do {
    const auto chunk = MakeChunk(kParts);
    for (uint32_t i = 0; i < kParts; ++i) {
      REQUIRE(chunk->image().weights == Floats{1, 8});
      REQUIRE(chunk->image().ledger.size() == 0);
      const auto taken = chunk->Push(*rule, 0, 0, parts[order[i]], order[i]);
      REQUIRE_OK(taken);
      REQUIRE(*taken);
      // Again, with nonsense in it.
      REQUIRE_FALSE(*chunk->Push(*rule, 0, 0, Floats{99, 99}, order[i]));
    }
    REQUIRE(chunk->image().weights[0] == 1 - 0.1f * (sum / kParts));
    REQUIRE(chunk->image().ledger.watermark() == 1);
    REQUIRE(chunk->counters().applied() == kParts);
    REQUIRE(chunk->counters().duplicates() == kParts);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("the sum of a subtree counts as its parts, each of them once") {
  const auto rule = Rule();
  // The last subtree of seven parts has three.
  constexpr uint32_t kParts = 7;
  const auto by_parts = MakeChunk(kParts);
  for (uint32_t p = 0; p < kParts; ++p) REQUIRE(*by_parts->Push(*rule, 0, 0, Floats{static_cast<float>(p), 1}, p));
  // Sums of their parts, divided by their places; statistics merged.
  const Floats first_two = {0.5f, 1.5f};
  const Floats first_four = {1.5f, 1.875f};
  const Floats last_three = {15.0f / 4, 1.75f};

  const auto chunk = MakeChunk(kParts);
  REQUIRE(*chunk->Push(*rule, 0, 0, last_three, PartRange(4, 3)));
  REQUIRE_FALSE(*chunk->Push(*rule, 0, 0, last_three, PartRange(4, 3)));
  REQUIRE_FALSE(*chunk->Push(*rule, 0, 0, Floats{99, 99}, PartRange(6)));
  REQUIRE_FALSE(*chunk->Push(*rule, 0, 0, Floats{99, 99}, PartRange(4, 2)));
  REQUIRE(*chunk->Push(*rule, 0, 0, Floats{3, 1}, PartRange(3)));
  REQUIRE(*chunk->Push(*rule, 0, 0, first_two, PartRange(0, 2)));
  REQUIRE(chunk->image().ledger.watermark() == 0);
  SECTION("the part that is left comes") { REQUIRE(*chunk->Push(*rule, 0, 0, Floats{2, 1}, PartRange(2))); }
  SECTION("it comes with others that are held already") {
    REQUIRE(*chunk->Push(*rule, 0, 0, first_four, PartRange(0, 4)));
  }
  SECTION("all parts come") {
    const Floats all = {21.0f / 8, 0.125f * first_four[1] + last_three[1]};
    REQUIRE(*chunk->Push(*rule, 0, 0, all, PartRange(0, kParts)));
  }
  REQUIRE(chunk->image().ledger.watermark() == 1);
  REQUIRE(chunk->image().weights == by_parts->image().weights);
  REQUIRE_FALSE(*chunk->Push(*rule, 0, 0, first_two, PartRange(0, 2)));
}

TEST_CASE("parts that are no subtree are refused, and nothing of them is taken") {
  const auto rule = Rule();
  const auto chunk = MakeChunk(8);
  for (const PartRange& range : {PartRange(1, 2), PartRange(0, 3), PartRange(2, 4), PartRange(4, 3)}) {
    REQUIRE_STATUS(chunk->Push(*rule, 0, 0, Floats{1, 1}, range), absl::StatusCode::kInvalidArgument,
                   "are no subtree of these");
    REQUIRE_STATUS(chunk->Skip(0, range), absl::StatusCode::kInvalidArgument, "are no subtree of these");
  }
  REQUIRE_STATUS(chunk->Push(*rule, 0, 0, Floats{1, 1}, PartRange(4, 8)), absl::StatusCode::kInvalidArgument,
                 "there is no part 11");
  REQUIRE_STATUS(MakeChunk(1)->Push(*rule, 0, 0, Floats{1, 1}, PartRange(0, 2)), absl::StatusCode::kInvalidArgument,
                 "there is no part 1");
  REQUIRE(*chunk->Push(*rule, 0, 0, Floats{1, 1}, PartRange(0, 8)));
  REQUIRE(chunk->image().ledger.watermark() == 1);
}

TEST_CASE("a subtree is skipped as its parts are") {
  const auto rule = Rule();
  const auto chunk = MakeChunk(5);
  const Floats before = chunk->image().weights;
  REQUIRE(*chunk->Push(*rule, 0, 0, Floats{1, 1}, PartRange(1)));
  REQUIRE(*chunk->Skip(0, PartRange(0, 4)));
  REQUIRE_FALSE(*chunk->Push(*rule, 0, 0, Floats{1, 1}, PartRange(2, 2)));
  REQUIRE(*chunk->Push(*rule, 0, 0, Floats{1, 1}, PartRange(4)));
  REQUIRE(chunk->image().ledger.watermark() == 1);
  REQUIRE(chunk->image().skipped.contains(0));
  REQUIRE(chunk->image().weights == before);
}

TEST_CASE("statistics of parts are merged as pushes one after the other would be") {
  const auto rule = Rule();
  const auto whole = MakeChunk(0);
  const auto chunk = MakeChunk(3);
  for (uint32_t p = 0; p < 3; ++p) {
    REQUIRE_OK(whole->Push(*rule, p, p, Floats{0, static_cast<float>(p + 1)}));
    REQUIRE_OK(chunk->Push(*rule, 0, 0, Floats{0, static_cast<float>(p + 1)}, p));
  }
  // Powers of two: exact.
  REQUIRE(chunk->image().weights[1] == whole->image().weights[1]);
}

TEST_CASE("an iteration in one part is what an iteration without parts is") {
  const auto rule = Rule();
  const auto whole = MakeChunk(0);
  const auto chunk = MakeChunk(1);
  for (uint64_t t = 0; t < 20; ++t) {
    const Floats gradient = {std::sin(static_cast<float>(t)), 0.3f};
    REQUIRE_OK(whole->Push(*rule, t, t, gradient));
    REQUIRE_OK(chunk->Push(*rule, t, t, gradient));
    REQUIRE(chunk->image().weights == whole->image().weights);
  }
}

TEST_CASE("the weights before the last update stay, for who computes it again") {
  const auto rule = Rule();
  const auto chunk = MakeChunk(2);
  std::vector<Floats> history = {chunk->image().weights};
  for (uint64_t t = 0; t < 5; ++t) {
    REQUIRE(Pulled(*chunk, t) == history[t]);
    REQUIRE_OK(chunk->Push(*rule, t, 0, Floats{1, 1}, 1));
    REQUIRE(Pulled(*chunk, t) == history[t]);
    REQUIRE_OK(chunk->Push(*rule, t, 0, Floats{3, 1}, 0));
    history.push_back(chunk->image().weights);
    REQUIRE(Pulled(*chunk, t) == history[t]);
    REQUIRE(Pulled(*chunk, t + 1) == history[t + 1]);
    // A worker that asks for an older one computes an iteration that all chunks have.
    if (t > 0) REQUIRE(Pulled(*chunk, t - 1) == history[t + 1]);
  }
}

TEST_CASE("what is no part of the next iteration is refused") {
  const auto rule = Rule();
  const auto chunk = MakeChunk(2);
  REQUIRE_STATUS(chunk->Push(*rule, 1, 0, Floats{1, 1}, 0), absl::StatusCode::kFailedPrecondition,
                 "takes iteration 0 next, not 1");
  REQUIRE_STATUS(chunk->Push(*rule, 0, 0, Floats{1, 1}, 2), absl::StatusCode::kInvalidArgument,
                 "2 parts; there is no part 2");
  REQUIRE_STATUS(MakeChunk(0)->Push(*rule, 0, 0, Floats{1, 1}, 1), absl::StatusCode::kInvalidArgument, "no part 1");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  REQUIRE_STATUS(chunk->Push(*rule, 0, 0, Floats{nan, 1}, 0), absl::StatusCode::kInvalidArgument, "NaN");
  REQUIRE(chunk->counters().rejected() == 1);
  REQUIRE_OK(chunk->Push(*rule, 0, 0, Floats{1, 1}, 0));
  REQUIRE_OK(chunk->Push(*rule, 0, 0, Floats{1, 1}, 1));
  REQUIRE(chunk->image().ledger.watermark() == 1);
}

TEST_CASE("finite parts have a finite mean, though their sum is infinite, in whatever order they come") {
  const auto rule = Rule(0);
  const float large = std::numeric_limits<float>::max();
  // Powers of two: exact.
  const float unit = std::ldexp(1.0f, 127);
  for (const uint32_t last : {0u, 1u, 2u, 3u}) {
    const auto chunk = MakeChunk(4);
    const Floats parts = {unit, unit, unit / 2, -unit};
    for (uint32_t p = 0; p < 4; ++p) {
      if (p != last) REQUIRE(*chunk->Push(*rule, 0, 0, Floats{parts[p], large}, p));
    }
    REQUIRE(*chunk->Push(*rule, 0, 0, Floats{parts[last], large}, last));
    REQUIRE(chunk->image().ledger.watermark() == 1);
    REQUIRE(chunk->image().weights[0] == 1 - 0.1f * (unit * 0.375f));
    // Statistics stay finite, too.
    REQUIRE(chunk->image().weights[1] == large);
    REQUIRE(chunk->counters().rejected() == 0);
    // The next iteration is added up as ever.
    const float before = chunk->image().weights[0];
    for (uint32_t p = 0; p < 4; ++p) REQUIRE(*chunk->Push(*rule, 1, 1, Floats{unit / 8, 0}, p));
    REQUIRE(chunk->image().weights[0] == before - 0.1f * (unit / 8));
  }
  for (const uint32_t count : {2u, 3u, 5u, 7u, 64u, 100u}) {
    const auto chunk = MakeChunk(count);
    for (uint32_t p = 0; p < count; ++p) REQUIRE(*chunk->Push(*rule, 0, 0, Floats{-large, 0}, p));
    INFO(count << " parts");
    REQUIRE(std::isfinite(chunk->image().weights[0]));
    REQUIRE(chunk->image().weights[0] > 0.0999f * large);
  }
}

TEST_CASE("an iteration that was skipped is told from one that was applied, also by who adds a part to it") {
  const auto rule = Rule();
  const auto chunk = MakeChunk(2);
  REQUIRE(*chunk->Push(*rule, 0, 0, Floats{1, 1}, 0));
  REQUIRE(*chunk->Skip(0, 1));
  REQUIRE(*chunk->Skip(0, 1));
  REQUIRE(chunk->image().skipped.contains(0));
  for (const uint32_t part : {0u, 1u}) REQUIRE(*chunk->Push(*rule, 1, 1, Floats{1, 1}, part));
  REQUIRE_FALSE(*chunk->Skip(1, 1));
  REQUIRE(chunk->counters().skipped() == 1);
}

}  // namespace
}  // namespace samovar
