#include "server/solver/solver_rule.h"

#include <google/protobuf/text_format.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "server/store/chunk.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

caffe::SolverParameter Solver(const std::string& text) {
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      "base_lr: 0.1 max_iter: 100 lr_policy: 'inv' gamma: 0.01 power: 0.75 " + text, &solver));
  return solver;
}

TEST_CASE("without decay a weight does not enter its own update") {
  auto rule = SolverRule::Create(Solver("momentum: 0.5 weight_decay: 0"));
  REQUIRE_OK(rule);
  std::vector<float> weights = {2}, history = {4}, gradient = {0};
  const std::vector<std::span<float>> state = {history};
  (*rule)->Apply(0, {0, 1, 1, 1}, weights, state, gradient);
  REQUIRE(history[0] == 2);
  REQUIRE(weights[0] == 0);
}

TEST_CASE("a solver with a wrong value is refused with the field's name") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  REQUIRE_STATUS(SolverRule::Create(Solver("type: 'Adamm'")), invalid, "\"Adamm\"");
  REQUIRE_STATUS(SolverRule::Create(Solver("type: 'AdaGrad' momentum: 0.9")), invalid, "\"AdaGrad\" has no momentum");
  REQUIRE_STATUS(SolverRule::Create(Solver("type: 'RMSProp' momentum: 0.9")), invalid, "\"RMSProp\" has no momentum");
  REQUIRE_STATUS(SolverRule::Create(Solver("type: 'RMSProp' rms_decay: 1")), invalid, "rms_decay");
  REQUIRE_STATUS(SolverRule::Create(Solver("type: 'Adam' momentum2: 1")), invalid, "momentum2");
  REQUIRE_STATUS(SolverRule::Create(Solver("type: 'Adam' delta: 0")), invalid, "delta");
  REQUIRE_STATUS(SolverRule::Create(Solver("momentum: 1")), invalid, "momentum");
  REQUIRE_STATUS(SolverRule::Create(Solver("momentum: nan")), invalid, "momentum");
  REQUIRE_STATUS(SolverRule::Create(Solver("weight_decay: inf")), invalid, "weight_decay");
  REQUIRE_STATUS(SolverRule::Create(Solver("regularization_type: 'L3'")), invalid, "\"L3\"");
  caffe::SolverParameter endless = Solver("");
  endless.set_max_iter(-1);
  REQUIRE_STATUS(SolverRule::Create(endless), invalid, "max_iter");
}

TEST_CASE("what a worker does to a gradient before it pushes it is not the server's affair") {
  REQUIRE_OK(SolverRule::Create(Solver("clip_gradients: 10 iter_size: 4")));
}

TEST_CASE("NaN and infinity are found wherever they are") {
  std::vector<float> values(1000, 1.0f);
  REQUIRE(AllFinite(values));
  values[0] = std::numeric_limits<float>::max();
  values[1] = std::numeric_limits<float>::denorm_min();
  REQUIRE(AllFinite(values));
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    for (size_t at : {size_t{0}, size_t{517}, size_t{999}}) {
      std::vector<float> copy(1000, 1.0f);
      copy[at] = bad;
      REQUIRE_FALSE(AllFinite(copy));
    }
  }
}

v1::ParameterLayout ThreeBlobs() {
  v1::ParameterLayout layout;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(R"(
      blobs { layer: 'a' shape: 10 lr_mult: 1 decay_mult: 1 filler { type: 'constant' } }
      blobs { layer: 'a' index: 1 shape: 5 lr_mult: 2 offset: 10 filler { type: 'constant' } }
      blobs { layer: 'b' shape: 7 lr_mult: 2 offset: 15 filler { type: 'constant' } }
      elements: 22)",
                                                        &layout));
  return layout;
}

TEST_CASE("a chunk's segments are the parts of its blobs") {
  const auto whole = BuildSegments(ThreeBlobs(), 0, 22);
  REQUIRE(whole.size() == 3);
  CHECK((whole[0].begin == 0 && whole[0].end == 10 && whole[0].lr_mult == 1));
  CHECK((whole[1].begin == 10 && whole[1].end == 15 && whole[1].lr_mult == 2));
  CHECK((whole[2].begin == 15 && whole[2].end == 22 && whole[2].lr_mult == 2));
  const auto middle = BuildSegments(ThreeBlobs(), 8, 15);
  REQUIRE(middle.size() == 2);
  CHECK((middle[0].begin == 0 && middle[0].end == 2));
  CHECK((middle[1].begin == 2 && middle[1].end == 7));
}

TEST_CASE("statistics have segments of their own, without multipliers") {
  v1::ParameterLayout layout = ThreeBlobs();
  for (int i : {1, 2}) {
    layout.mutable_blobs(i)->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
    layout.mutable_blobs(i)->set_moving_average_fraction(0.5f);
    // Without a meaning here, and different.
    layout.mutable_blobs(i)->set_lr_mult(static_cast<float>(i));
  }
  const auto segments = BuildSegments(layout, 0, 22);
  REQUIRE(segments.size() == 3);
  CHECK((segments[1].begin == 10 && segments[1].end == 15));
  CHECK(segments[1].rule == v1::UPDATE_RULE_MOVING_AVERAGE);
  CHECK(segments[1].moving_average_fraction == 0.5f);
}

TEST_CASE("a chunk merges its statistics and leaves their history at zero") {
  auto rule = SolverRule::Create(Solver("momentum: 0.9 weight_decay: 1"));
  REQUIRE_OK(rule);
  ChunkImage image;
  image.weights = {1, 2, 4};
  image.state = {{0, 0, 0}};
  RuleSegment statistics{1, 3, 1, 1};
  statistics.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  statistics.moving_average_fraction = 0.5f;
  Chunk chunk(std::move(image), {{0, 1, 1, 1}, statistics}, Chunk::Options());
  REQUIRE_OK(chunk.Push(**rule, 0, 0, std::vector<float>{1, 1, 1}));
  CHECK(chunk.image().weights[0] != 1);
  CHECK(chunk.image().weights[1] == 2);
  CHECK(chunk.image().weights[2] == 3);
  CHECK(chunk.image().state[0][0] != 0);
  CHECK(chunk.image().state[0][1] == 0);
  CHECK(chunk.image().state[0][2] == 0);
}

class ChunkFixture {
 protected:
  ChunkFixture() {
    auto created = SolverRule::Create(Solver("momentum: 0.9"));
    REQUIRE_OK(created);
    rule = *std::move(created);
    ChunkImage image;
    image.chunk = 5;
    image.weights = {1, 2, 3};
    image.state = {{0, 0, 0}};
    chunk = std::make_unique<Chunk>(std::move(image), std::vector<RuleSegment>{{0, 3, 1, 1}}, Chunk::Options());
  }

  std::unique_ptr<const SolverRule> rule;
  std::unique_ptr<Chunk> chunk;
};

TEST_CASE_METHOD(ChunkFixture, "a chunk applies an iteration once") {
  const std::vector<float> gradient = {1, 1, 1};
  auto first = chunk->Push(*rule, 4, 0, gradient);
  REQUIRE_OK(first);
  REQUIRE(*first);
  const std::vector<float> weights = chunk->image().weights;
  auto second = chunk->Push(*rule, 4, 0, gradient);
  REQUIRE_OK(second);
  REQUIRE_FALSE(*second);
  REQUIRE(chunk->image().weights == weights);
  REQUIRE(chunk->image().version == 1);
  REQUIRE(chunk->image().ledger.Contains(4));
  REQUIRE(chunk->counters().applied() == 1);
  REQUIRE(chunk->counters().duplicates() == 1);
}

TEST_CASE_METHOD(ChunkFixture, "a gradient with NaN in it leaves a chunk as it was") {
  const ChunkImage before = chunk->image();
  const std::vector<float> gradient = {1, std::numeric_limits<float>::quiet_NaN(), 1};
  REQUIRE_STATUS(chunk->Push(*rule, 4, 0, gradient), absl::StatusCode::kInvalidArgument, "iteration 4 for chunk 5");
  REQUIRE(chunk->image().weights == before.weights);
  REQUIRE(chunk->image().state == before.state);
  REQUIRE_FALSE(chunk->image().ledger.Contains(4));
  REQUIRE(chunk->counters().rejected() == 1);
}

TEST_CASE_METHOD(ChunkFixture, "staleness is the number of updates between pull and push") {
  const std::vector<float> gradient = {1, 1, 1};
  for (uint64_t t = 0; t < 5; ++t) REQUIRE_OK(chunk->Push(*rule, t, t, gradient));
  REQUIRE(chunk->counters().staleness_max() == 0);
  REQUIRE_OK(chunk->Push(*rule, 5, 2, gradient));
  REQUIRE_OK(chunk->Push(*rule, 6, 5, gradient));
  // A version from a server's former life.
  REQUIRE_OK(chunk->Push(*rule, 7, 1000, gradient));
  REQUIRE(chunk->counters().staleness_max() == 3);
  REQUIRE(chunk->counters().staleness_sum() == 4);
}

}  // namespace
}  // namespace samovar
