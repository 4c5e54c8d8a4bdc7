// The arithmetic of each solver, against its formula in double.
#include <google/protobuf/text_format.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "common/model/learning_rate.h"
#include "server/solver/solver_rule.h"
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

// One weight with its history, as the papers write it.
struct Reference {
  double w = 0;
  double h1 = 0;
  double h2 = 0;

  double Update(const caffe::SolverParameter& solver, uint64_t t, double a, double g) {
    const double m = solver.momentum(), delta = solver.delta();
    if (solver.type() == "SGD") return h1 = m * h1 + a * g;
    if (solver.type() == "Nesterov") {
      const double before = h1;
      h1 = m * h1 + a * g;
      return (1 + m) * h1 - m * before;
    }
    if (solver.type() == "AdaGrad") {
      h1 += g * g;
      return a * g / (std::sqrt(h1) + delta);
    }
    if (solver.type() == "RMSProp") {
      h1 = solver.rms_decay() * h1 + (1 - solver.rms_decay()) * g * g;
      return a * g / (std::sqrt(h1) + delta);
    }
    if (solver.type() == "AdaDelta") {
      h1 = m * h1 + (1 - m) * g * g;
      const double v = g * std::sqrt((h2 + delta) / (h1 + delta));
      h2 = m * h2 + (1 - m) * v * v;
      return a * v;
    }
    const double b2 = solver.momentum2();
    const double step = static_cast<double>(t) + 1;
    h1 = m * h1 + (1 - m) * g;
    h2 = b2 * h2 + (1 - b2) * g * g;
    return a * std::sqrt(1 - std::pow(b2, step)) / (1 - std::pow(m, step)) * h1 / (std::sqrt(h2) + delta);
  }

  void Step(const caffe::SolverParameter& solver, uint64_t t, const RuleSegment& segment, double gradient) {
    const double decay = solver.weight_decay() * segment.decay_mult;
    const double sign = w > 0 ? 1 : w < 0 ? -1 : 0;
    const double g = gradient + decay * (solver.regularization_type() == "L1" ? sign : w);
    w -= Update(solver, t, LearningRate(solver, t) * segment.lr_mult, g);
  }
};

constexpr size_t kCount = 53;
// Multipliers of 1, no decay, and a rate of 0.
const std::vector<RuleSegment> kSegments = {{0, 37, 1, 1}, {37, 40, 2, 0}, {40, kCount, 0, 1}};

// Twenty steps, some of them out of order, as asynchronous workers push them.
void RequireFollowsReference(const caffe::SolverParameter& solver) {
  auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  const std::vector<uint64_t> order = {2, 0, 1, 3, 5, 4, 9, 6, 7, 8, 10, 11, 13, 12, 14, 15, 19, 16, 18, 17};
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> weights(kCount), gradient(kCount);
  std::vector<std::vector<float>> history((*rule)->state_vectors(), std::vector<float>(kCount));
  for (float& weight : weights) weight = uniform(random);
  const std::vector<float> initial = weights;
  std::vector<Reference> expected(kCount);
  for (size_t i = 0; i < kCount; ++i) expected[i].w = weights[i];
  const std::vector<std::span<float>> state(history.begin(), history.end());
  for (uint64_t t : order) {
    for (float& value : gradient) value = uniform(random);
    for (const RuleSegment& segment : kSegments) {
      (*rule)->Apply(t, segment, weights, state, gradient);
      for (uint32_t i = segment.begin; i < segment.end; ++i) expected[i].Step(solver, t, segment, gradient[i]);
    }
  }
  // Twenty roundings of values about 1 to float; histories are sums of up to twenty squares.
  for (size_t i = 0; i < kCount; ++i) {
    INFO("float " << i);
    REQUIRE(weights[i] == Approx(expected[i].w).epsilon(1e-5).margin(1e-5));
    REQUIRE(history[0][i] == Approx(expected[i].h1).epsilon(1e-5).margin(1e-6));
    if (history.size() > 1) REQUIRE(history[1][i] == Approx(expected[i].h2).epsilon(1e-5).margin(1e-6));
  }
  // The rate of 0 freezes weights, whatever the history does.
  for (size_t i = 40; i < kCount; ++i) REQUIRE(weights[i] == initial[i]);
  for (size_t i = 0; i < 40; ++i) REQUIRE(weights[i] != initial[i]);
}

// Without decay, with L2 and with L1. L1's decay is small enough that no weight changes its sign in float alone.
void RequireFollowsReferenceWithAnyDecay(const std::string& text) {
  for (const char* decay : {"", " weight_decay: 0.05", " weight_decay: 0.001 regularization_type: 'L1'"}) {
    INFO(text << decay);
    RequireFollowsReference(Solver(text + decay));
  }
}

TEST_CASE("twenty steps of SGD follow its formula in double") {
  RequireFollowsReferenceWithAnyDecay("type: 'SGD' momentum: 0.9");
  RequireFollowsReferenceWithAnyDecay("type: 'SGD'");
}

TEST_CASE("twenty steps of Nesterov's gradient follow its formula in double") {
  RequireFollowsReferenceWithAnyDecay("type: 'Nesterov' momentum: 0.9");
}

TEST_CASE("twenty steps of AdaGrad follow its formula in double") {
  RequireFollowsReferenceWithAnyDecay("type: 'AdaGrad'");
  RequireFollowsReferenceWithAnyDecay("type: 'AdaGrad' delta: 0.1");
}

TEST_CASE("twenty steps of RMSProp follow its formula in double") {
  RequireFollowsReferenceWithAnyDecay("type: 'RMSProp'");
  RequireFollowsReferenceWithAnyDecay("type: 'RMSProp' rms_decay: 0.5 delta: 0.01");
}

TEST_CASE("twenty steps of AdaDelta follow its formula in double") {
  RequireFollowsReferenceWithAnyDecay("type: 'AdaDelta' momentum: 0.95 delta: 1e-6");
}

TEST_CASE("twenty steps of Adam follow its formula in double, corrected by the iteration's index") {
  RequireFollowsReferenceWithAnyDecay("type: 'Adam' momentum: 0.9 momentum2: 0.999");
  RequireFollowsReferenceWithAnyDecay("type: 'Adam' momentum: 0.5 momentum2: 0.9 delta: 0.1");
}

TEST_CASE("Adam's first step is the rate whatever the gradient's size") {
  caffe::SolverParameter solver = Solver("type: 'Adam' momentum: 0.9");
  solver.set_lr_policy("fixed");
  auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  std::vector<float> weights = {1, 1, 1}, first(3), second(3);
  const std::vector<float> gradient = {100, -0.5f, 0.01f};
  const std::vector<std::span<float>> state = {first, second};
  (*rule)->Apply(0, {0, 3, 1, 1}, weights, state, gradient);
  CHECK(weights[0] == Approx(0.9));
  CHECK(weights[1] == Approx(1.1));
  CHECK(weights[2] == Approx(0.9));
}

TEST_CASE("a gradient of zero moves no solver away from a history of zeros") {
  for (const char* type : {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    INFO(type);
    caffe::SolverParameter solver = Solver("");
    solver.set_type(type);
    auto rule = SolverRule::Create(solver);
    REQUIRE_OK(rule);
    std::vector<float> weights = {3}, gradient = {0};
    std::vector<std::vector<float>> history((*rule)->state_vectors(), std::vector<float>(1));
    const std::vector<std::span<float>> state(history.begin(), history.end());
    (*rule)->Apply(0, {0, 1, 1, 1}, weights, state, gradient);
    CHECK(weights[0] == 3);
  }
}

TEST_CASE("the old way to write a type gives the same rule as the new one") {
  const std::pair<const char*, const char*> names[] = {{"SGD", "SGD"},           {"NESTEROV", "Nesterov"},
                                                       {"ADAGRAD", "AdaGrad"},   {"RMSPROP", "RMSProp"},
                                                       {"ADADELTA", "AdaDelta"}, {"ADAM", "Adam"}};
  for (const auto& [old_name, name] : names) {
    INFO(name);
    float results[2] = {};
    for (int i = 0; i < 2; ++i) {
      auto rule = SolverRule::Create(
          Solver(i == 0 ? std::string("solver_type: ") + old_name : std::string("type: '") + name + "'"));
      REQUIRE_OK(rule);
      std::vector<float> weights = {3}, gradient = {0.5f};
      std::vector<std::vector<float>> history((*rule)->state_vectors(), std::vector<float>(1, 0.25f));
      const std::vector<std::span<float>> state(history.begin(), history.end());
      (*rule)->Apply(4, {0, 1, 1, 1}, weights, state, gradient);
      results[i] = weights[0];
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] != 3);
  }
}

TEST_CASE("statistics are merged as a moving average, without rate, decay or history") {
  std::vector<float> weights = {1, 2, 4, 8};
  const std::vector<float> pushed = {10, 20, 30, 40};
  RuleSegment segment;
  segment.begin = 1;
  segment.end = 3;
  segment.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  segment.moving_average_fraction = 0.5f;
  MergeStatistics(segment, weights, pushed);
  CHECK(weights == std::vector<float>{1, 21, 32, 8});
}

}  // namespace
}  // namespace samovar
