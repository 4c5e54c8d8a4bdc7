// A chunk's treatment of gradients that come late.
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/model/learning_rate.h"
#include "server/snapshot/chunk_record.h"
#include "server/solver/solver_rule.h"
#include "server/store/chunk.h"
#include "tests/server/store/test_server.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

const std::vector<std::string> kTypes = {"type: 'SGD' momentum: 0.9",
                                         "type: 'SGD'",
                                         "type: 'Nesterov' momentum: 0.9",
                                         "type: 'Adam' momentum: 0.9 momentum2: 0.999",
                                         "type: 'AdaGrad'",
                                         "type: 'RMSProp'",
                                         "type: 'AdaDelta' momentum: 0.95 delta: 1e-6"};
const std::vector<std::string> kDecays = {"", " weight_decay: 0.05", " weight_decay: 0.001 regularization_type: 'L1'"};

caffe::SolverParameter Solver(const std::string& text) {
  caffe::SolverParameter solver;
  REQUIRE(google::protobuf::TextFormat::ParseFromString("max_iter: 10000 " + text, &solver));
  return solver;
}

std::unique_ptr<const SolverRule> RuleOf(const caffe::SolverParameter& solver) {
  auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  return *std::move(rule);
}

std::unique_ptr<const SolverRule> Rule(double rate, const std::string& momentum) {
  caffe::SolverParameter solver = Solver("lr_policy: 'fixed' momentum: " + momentum);
  solver.set_base_lr(static_cast<float>(rate));
  return RuleOf(solver);
}

std::unique_ptr<Chunk> OneWeight(float weight, const Chunk::Options& options = {}) {
  ChunkImage image;
  image.weights = {weight};
  image.state = {{0}};
  return std::make_unique<Chunk>(std::move(image), std::vector<RuleSegment>{{0, 1, 1, 1}}, options);
}

std::vector<float> PulledOf(Chunk& chunk, const SolverRule& rule) {
  std::vector<float> pulled(chunk.image().weights.size());
  chunk.WritePulled(rule, /*watermark=*/{}, reinterpret_cast<char*>(pulled.data()));
  return pulled;
}

float Pulled(Chunk& chunk, const SolverRule& rule) {
  REQUIRE(chunk.image().weights.size() == 1);
  return PulledOf(chunk, rule)[0];
}

// Two blobs with different multipliers and a statistic, in one chunk.
constexpr size_t kFloats = 24;
std::vector<RuleSegment> Segments() {
  RuleSegment statistic{20, kFloats};
  statistic.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  statistic.moving_average_fraction = 0.5f;
  return {{0, 13, 1, 1}, {13, 20, 2, 0}, statistic};
}

class Gradients {
 public:
  std::vector<float> Next(float size = 1) {
    std::uniform_real_distribution<float> uniform(-size, size);
    std::vector<float> values(kFloats);
    for (float& value : values) value = uniform(random_);
    return values;
  }

 private:
  std::mt19937 random_{5};
};

std::unique_ptr<Chunk> SmallChunk(const SolverRule& rule, const Chunk::Options& options = {}) {
  ChunkImage image;
  image.weights = Gradients().Next();
  image.state.assign(static_cast<size_t>(rule.state_vectors()), std::vector<float>(kFloats));
  return std::make_unique<Chunk>(std::move(image), Segments(), options);
}

// Caffe's update of one float, in the order of its operations in float; returns u of w <- w - u.
float CaffesUpdate(const caffe::SolverParameter& solver, uint64_t t, float a, float g, float* h1, float* h2) {
  const float m = solver.momentum(), delta = solver.delta();
  if (solver.type() == "SGD") return *h1 = m * *h1 + a * g;
  if (solver.type() == "Nesterov") {
    const float before = -m * *h1;
    *h1 = m * *h1 + a * g;
    return before + (1 + m) * *h1;
  }
  if (solver.type() == "AdaGrad") {
    *h1 = g * g + *h1;
    return a * (g / (std::sqrt(*h1) + delta));
  }
  if (solver.type() == "RMSProp") {
    *h1 = solver.rms_decay() * *h1 + (1 - solver.rms_decay()) * (g * g);
    return a * (g / (std::sqrt(*h1) + delta));
  }
  if (solver.type() == "AdaDelta") {
    *h1 = m * *h1 + (1 - m) * (g * g);
    const float v = g * std::sqrt((delta + *h2) / (delta + *h1));
    *h2 = m * *h2 + (1 - m) * (v * v);
    return a * v;
  }
  const double step = static_cast<double>(t) + 1;
  const auto correction = static_cast<float>(std::sqrt(1.0 - std::pow(static_cast<double>(solver.momentum2()), step)) /
                                             (1.0 - std::pow(static_cast<double>(m), step)));
  *h1 = m * *h1 + (1 - m) * g;
  *h2 = solver.momentum2() * *h2 + (1 - solver.momentum2()) * (g * g);
  return a * correction * (*h1 / (std::sqrt(*h2) + delta));
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("pushes that are never late leave Caffe's own numbers, to the bit") {
  for (const std::string& type : kTypes) {
    for (const std::string& decay : kDecays) {
      INFO(type << decay);
      const caffe::SolverParameter solver =
          Solver("base_lr: 0.1 lr_policy: 'inv' gamma: 0.01 power: 0.75 " + type + decay);
      const auto rule = RuleOf(solver);
      const auto chunk = SmallChunk(*rule);
      std::vector<float> weights = chunk->image().weights, h1(kFloats), h2(kFloats);
      Gradients gradients;
      for (uint64_t t = 0; t < 60; ++t) {
        // Large and small ones: nothing is cut.
        const std::vector<float> gradient = gradients.Next(t % 7 == 6 ? 50 : 1);
        REQUIRE_OK(chunk->Push(*rule, t, t, gradient));
        for (size_t i = 0; i < 20; ++i) {
          const float rate = static_cast<float>(LearningRate(solver, t)) * (i < 13 ? 1.0f : 2.0f);
          const float kept = solver.weight_decay() * (i < 13 ? 1.0f : 0.0f);
          float g = gradient[i];
          if (kept > 0 && solver.regularization_type() == "L2") g += kept * weights[i];
          if (kept > 0 && solver.regularization_type() == "L1") g += kept * (weights[i] > 0 ? 1.0f : -1.0f);
          weights[i] -= CaffesUpdate(solver, t, rate, g, &h1[i], &h2[i]);
        }
        for (size_t i = 20; i < kFloats; ++i) weights[i] = 0.5f * weights[i] + gradient[i];
        REQUIRE(SameBits(chunk->image().weights, weights));
        REQUIRE(SameBits(PulledOf(*chunk, *rule), weights));
      }
      CHECK(SameBits(chunk->image().state[0], h1));
      if (rule->state_vectors() > 1) CHECK(SameBits(chunk->image().state[1], h2));
      CHECK(chunk->image().lateness.steps.empty());
    }
  }
}

// The rule for late gradients as it is written down, in double, for 20 floats in two segments: with a history in the
// scale of the weights, which is scaled when the memory changes.
class Reference {
 public:
  Reference(const caffe::SolverParameter& solver, const std::vector<float>& weights)
      : solver_(solver), momentum_(solver.type() == "SGD" || solver.type() == "Nesterov" || solver.type() == "Adam") {
    for (size_t i = 0; i < 20; ++i) floats_[i].w = static_cast<double>(weights[i]);
  }

  void Push(uint64_t t, double staleness, const std::vector<float>& gradient) {
    const double before = Kept();
    const double bounded = std::min(staleness, 4 + 2 * s_);
    if (static_cast<double>(t) < 3 * (1 + s_)) {
      s_ = std::max(s_, bounded);
    } else {
      s_ += std::min(0.05, 1 / (1 + s_)) * (bounded - s_);
    }
    if (s_ < 0.01) s_ = 0;
    // What is under way keeps its whole effect; all of it comes at once where steps are not spread any more.
    for (Float& f : floats_) {
      f.h *= (1 - Kept()) / (1 - before);
      if (s_ == 0 && !momentum_) f.w -= before * std::exchange(f.h, 0.0);
    }
    const double r = s_ == 0 ? 1 : std::min(1.0, (1 + static_cast<double>(t)) / (5 * (1 + s_)));
    for (size_t segment = 0; segment < 2; ++segment) {
      const size_t begin = segment == 0 ? 0 : 13, end = segment == 0 ? 13 : 20;
      double square = 0;
      for (size_t i = begin; i < end; ++i)
        square += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
      const double cut = s_ == 0 ? 1 : norms_[segment].Cut(std::sqrt(square), s_);
      for (size_t i = begin; i < end; ++i) {
        const double decay = static_cast<double>(solver_.weight_decay()) * (segment == 0 ? 1 : 0);
        const double sign = floats_[i].w > 0 ? 1 : -1;
        // Sums of squares would never forget what the warm-up keeps from the weights.
        const double warm = momentum_ ? 1 : r;
        const double g = warm * cut * static_cast<double>(gradient[i]) +
                         decay * (solver_.regularization_type() == "L1" ? sign : floats_[i].w);
        rate_[segment] = LearningRate(solver_, t) * (segment == 0 ? 1 : 2);
        Step(t, r * rate_[segment], g, &floats_[i]);
      }
    }
    t_ = t;
  }

  double weight(size_t i) const { return floats_[i].w; }
  double pulled(size_t i) const {
    const double m = Kept();
    const double k = s_ == 0 ? 0 : m * (1 - std::pow(m, 3 * s_)) / (1 - m);
    const Float& f = floats_[i];
    return f.w - k * (solver_.type() == "Adam" ? AdamsUpdate(t_, rate_[i < 13 ? 0 : 1], f) : f.h);
  }
  double staleness() const { return s_; }

 private:
  struct Float {
    double w = 0, h = 0, first = 0, second = 0;
  };

  double Memory() const {
    const double m0 = 1 / (1 - static_cast<double>(solver_.momentum()));
    return momentum_ ? m0 * (1 + 4 * s_) : 1 + 4 * s_ * std::max(10.0, m0);
  }
  double Kept() const { return 1 - 1 / Memory(); }

  double AdamsUpdate(uint64_t t, double a, const Float& f) const {
    const double correction = std::sqrt(1 - std::pow(static_cast<double>(solver_.momentum2()), t + 1.0));
    const double bias = s_ == 0 ? 1 - std::pow(static_cast<double>(solver_.momentum()), t + 1.0) : 1;
    return a * correction / bias * f.h / (std::sqrt(f.second) + static_cast<double>(solver_.delta()));
  }

  void Step(uint64_t t, double a, double g, Float* f) {
    const double m = Kept(), m0 = static_cast<double>(solver_.momentum());
    if (solver_.type() == "SGD" || solver_.type() == "Nesterov") {
      const double before = f->h;
      f->h = m * f->h + a * (1 - m) / (1 - m0) * g;
      f->w -= solver_.type() == "SGD" ? f->h : (1 + m) * f->h - m * before;
      return;
    }
    if (solver_.type() == "Adam") {
      const double b2 = static_cast<double>(solver_.momentum2());
      f->h = m * f->h + (1 - m) * g;
      f->second = b2 * f->second + (1 - b2) * g * g;
      f->w -= AdamsUpdate(t, a, *f);
      return;
    }
    f->h = m * f->h + (1 - m) * CaffesStep(a, g, f);
    f->w -= f->h;
    // It is done; nothing of it is under way.
    if (s_ == 0) f->h = 0;
  }

  double CaffesStep(double a, double g, Float* f) const {
    const double m = static_cast<double>(solver_.momentum()), delta = static_cast<double>(solver_.delta());
    if (solver_.type() == "AdaDelta") {
      f->first = m * f->first + (1 - m) * g * g;
      const double v = g * std::sqrt((delta + f->second) / (delta + f->first));
      f->second = m * f->second + (1 - m) * v * v;
      return a * v;
    }
    const double kept = static_cast<double>(solver_.rms_decay());
    f->first = solver_.type() == "AdaGrad" ? f->first + g * g : kept * f->first + (1 - kept) * g * g;
    return a * g / (std::sqrt(f->first) + delta);
  }

  const caffe::SolverParameter solver_;
  // Else steps are spread.
  const bool momentum_;
  Float floats_[20];
  NormLevel norms_[2];
  double s_ = 0;
  double rate_[2] = {0, 0};
  uint64_t t_ = 0;
};

// Pushes as of three workers, then of one, then of six; some norms are large.
uint64_t StalenessAt(uint64_t t) {
  const uint64_t workers = t < 60 ? 3 : t < 200 ? 1 : 6;
  return std::min(t, workers - 1 + (workers > 1 ? t % 2 : 0));
}

TEST_CASE("late pushes follow the rule's formulas in double, for every solver, while workers leave and join") {
  for (const std::string& type : kTypes) {
    for (const std::string& decay : kDecays) {
      INFO(type << decay);
      const caffe::SolverParameter solver =
          Solver("base_lr: 0.01 lr_policy: 'inv' gamma: 0.01 power: 0.75 " + type + decay);
      const auto rule = RuleOf(solver);
      const auto chunk = SmallChunk(*rule);
      Reference expected(solver, chunk->image().weights);
      Gradients gradients;
      for (uint64_t t = 0; t < 260; ++t) {
        INFO("iteration " << t);
        const std::vector<float> gradient = gradients.Next(t % 9 == 8 ? 20 : 1);
        REQUIRE_OK(chunk->Push(*rule, t, t - StalenessAt(t), gradient));
        expected.Push(t, static_cast<double>(StalenessAt(t)), gradient);
        REQUIRE(chunk->image().lateness.usual.value == Approx(expected.staleness()));
        const std::vector<float> pulled = PulledOf(*chunk, *rule);
        for (size_t i = 0; i < 20; ++i) {
          INFO("float " << i);
          REQUIRE(chunk->image().weights[i] == Approx(expected.weight(i)).epsilon(1e-4).margin(1e-4));
          REQUIRE(pulled[i] == Approx(expected.pulled(i)).epsilon(1e-4).margin(2e-4));
        }
        // Statistics are merged and pulled as ever.
        for (size_t i = 20; i < kFloats; ++i) REQUIRE(pulled[i] == chunk->image().weights[i]);
      }
    }
  }
}

TEST_CASE("the usual staleness is the largest of the first pushes, then an average that single pushes hardly move") {
  UsualStaleness usual;
  for (const uint64_t late : {0, 1, 2, 3}) usual.Count(late);
  CHECK(usual.value == 3);
  usual.Count(1);
  CHECK(usual.value == 3);
  for (int i = 0; i < 300; ++i) usual.Count(2);
  CHECK(usual.value == Approx(2));
  usual.Count(1000);
  // As 4 + 2 * 2.
  CHECK(usual.value == Approx(2 + 0.05 * 6));
  for (int i = 0; i < 300; ++i) usual.Count(0);
  CHECK(usual.value == 0);
}

TEST_CASE("a gradient is cut to twice the level of its segment, which falls at once and rises slowly") {
  NormLevel norm;
  CHECK(norm.Cut(8, 3) == 1);
  CHECK(norm.Cut(16, 3) == 1);
  CHECK(norm.Cut(64, 3) == Approx(2 * 8 / 64.0).epsilon(0.03));
  for (int i = 0; i < 300; ++i) CHECK(norm.Cut(1, 3) == 1);
  CHECK(norm.level == Approx(1).epsilon(0.01));
  CHECK(norm.Cut(100, 3) == Approx(0.02).epsilon(0.05));
  NormLevel many = norm;
  for (int i = 0; i < 20; ++i) {
    norm.Cut(100, 3);
    many.Cut(100, 63);
  }
  CHECK(norm.level > 1.3f);
  CHECK(many.level < 1.1f);
  // Gradients that were zero say nothing of those to come.
  NormLevel none;
  CHECK(none.Cut(0, 3) == 1);
  CHECK(none.Cut(5, 3) == 1);
}

// How far the weight moves with gradients of zero, pushed as of so many workers, over the history at first.
double EffectOfHistory(Chunk* chunk, const SolverRule& rule, uint64_t staleness) {
  const double history = static_cast<double>(chunk->image().state[0][0]);
  const double before = static_cast<double>(chunk->image().weights[0]);
  for (int i = 0; i < 5000; ++i) {
    const uint64_t t = chunk->image().version;
    REQUIRE_OK(chunk->Push(rule, t, t - staleness, std::vector<float>{0}));
  }
  return (before - static_cast<double>(chunk->image().weights[0])) / history;
}

TEST_CASE("a job that goes on with other workers, or with one, keeps the whole effect of its history") {
  const auto rule = Rule(0.001, "0.9");
  const auto trained = [&] {
    auto chunk = OneWeight(0);
    for (uint64_t t = 0; t < 100; ++t)
      REQUIRE_OK(chunk->Push(*rule, t, t - std::min<uint64_t>(t, 7), std::vector<float>{1}));
    return chunk;
  };
  REQUIRE(trained()->image().lateness.usual.value == Approx(7));
  // M0 h, less what the step that it is in has done: 9 without lateness, as in Caffe.
  for (const uint64_t staleness : {0, 1, 7, 20}) {
    INFO(staleness);
    const double effect = EffectOfHistory(trained().get(), *rule, staleness);
    CHECK(effect >= 8.99);
    CHECK(effect <= 10.01);
  }
  // From a file that has the history only.
  const auto resumed = OneWeight(0);
  resumed->initial_image().state[0][0] = trained()->image().state[0][0];
  CHECK(EffectOfHistory(resumed.get(), *rule, 0) == Approx(9).epsilon(1e-3));
}

TEST_CASE("steps that are spread are all done when nothing is late any more") {
  const auto rule = RuleOf(Solver("base_lr: 0.01 lr_policy: 'fixed' type: 'RMSProp'"));
  const auto chunk = OneWeight(0);
  for (uint64_t t = 0; t < 100; ++t)
    REQUIRE_OK(chunk->Push(*rule, t, t - std::min<uint64_t>(t, 3), std::vector<float>{1}));
  REQUIRE_FALSE(chunk->image().lateness.steps.empty());
  const double under_way = static_cast<double>(chunk->image().lateness.steps[0]);
  const double before = static_cast<double>(chunk->image().weights[0]);
  for (uint64_t t = 100; t < 400; ++t) REQUIRE_OK(chunk->Push(*rule, t, t, std::vector<float>{0}));
  CHECK(chunk->image().lateness.steps.empty());
  const double moved = before - static_cast<double>(chunk->image().weights[0]);
  // Each step as a whole, but for the part of it that came with its own push.
  CHECK(moved <= under_way * 1.001);
  CHECK(moved >= under_way * 0.9);
}

TEST_CASE("a snapshot has all that late pushes need: training goes on from it as if there had been none") {
  for (const std::string& type : kTypes) {
    INFO(type);
    const auto rule = RuleOf(Solver("base_lr: 0.01 lr_policy: 'fixed' weight_decay: 0.01 " + type));
    auto chunk = SmallChunk(*rule);
    Gradients gradients;
    const auto push = [&](Chunk& to, uint64_t t, const std::vector<float>& gradient) {
      REQUIRE_OK(to.Push(*rule, t, t - std::min<uint64_t>(t, 4 + t % 2), gradient));
    };
    for (uint64_t t = 0; t < 70; ++t) push(*chunk, t, gradients.Next(t % 9 == 8 ? 20 : 1));
    auto restored = ParseChunkRecord(MakeChunkRecord(chunk->image()), chunk->image().chunk);
    REQUIRE_OK(restored);
    Chunk other(*std::move(restored), Segments(), {});
    for (uint64_t t = 70; t < 140; ++t) {
      CHECK(SameBits(PulledOf(other, *rule), PulledOf(*chunk, *rule)));
      const std::vector<float> gradient = gradients.Next(t % 9 == 8 ? 20 : 1);
      push(*chunk, t, gradient);
      push(other, t, gradient);
    }
    CHECK(SameBits(other.image().weights, chunk->image().weights));
  }
}

TEST_CASE("where nothing can be late, what a snapshot says of it has no effect") {
  const auto rule = Rule(0.5, "0.9");
  ChunkImage image;
  image.weights = {1};
  image.state = {{0.25f}};
  image.lateness.usual = {7, 100};
  for (const Chunk::Options& options : {Chunk::Options{.parts = 1}, Chunk::Options{.plain = true}}) {
    Chunk chunk(image, {{0, 1, 1, 1}}, options);
    CHECK(Pulled(chunk, *rule) == 1);
    REQUIRE_OK(chunk.Push(*rule, 0, 0, std::vector<float>{0}));
    CHECK(chunk.image().weights[0] == 1 - 0.9f * 0.25f);
    CHECK(Pulled(chunk, *rule) == chunk.image().weights[0]);
  }
}

TEST_CASE("weights that are pulled ahead are in no frozen copy, and in no snapshot") {
  const TempDir directory;
  TestServer server(directory.path());
  TestClient client(server);
  v1::OpenJobRequest job = MakeJob();
  job.mutable_solver()->set_momentum(0.5);
  REQUIRE_OK(client.Open(job));
  const auto rule = RuleOf(job.solver());
  // One float as all others of its blob are.
  const auto one = OneWeight(0.5f);
  for (uint64_t t = 0; t < 20; ++t) {
    const uint64_t pulled = t - std::min<uint64_t>(t, 3);
    v1::ExchangeRequest push = MakePush(t, 1);
    for (v1::ChunkData& data : *push.mutable_push()) data.set_version(pulled);
    client.AskOk(push);
    REQUIRE_OK(one->Push(*rule, t, pulled, std::vector<float>{1}));
  }
  REQUIRE_OK(client.Freeze(20));
  REQUIRE_OK(client.Persist(20));
  v1::ExchangeRequest frozen = MakePull();
  frozen.set_frozen(true);
  frozen.set_frozen_iteration(20);
  const float live = FloatsIn(client.AskOk(MakePull()).weights(0))[0];
  CHECK(live < one->image().weights[0]);
  CHECK(live == Pulled(*one, *rule));
  CHECK(FloatsIn(client.AskOk(frozen).weights(0))[0] == one->image().weights[0]);
  REQUIRE_OK(client.Thaw(20));
  CHECK(FloatsIn(client.AskOk(frozen).weights(0))[0] == one->image().weights[0]);
  // A server that begins again from the snapshot gives workers what it gave them before.
  REQUIRE_OK(client.Close());
  job.set_restore(true);
  job.set_restore_iteration(20);
  REQUIRE_OK(client.Open(job));
  CHECK(FloatsIn(client.AskOk(MakePull()).weights(0))[0] == live);
}

// The largest weight, of the last quarter of the updates, of descent on curvature * w^2 / 2 by as many workers as pull
// and push in turn.
float Descend(double rate_times_curvature, size_t workers) {
  const auto rule = Rule(rate_times_curvature, "0.9");
  const auto chunk = OneWeight(1);
  struct Pull {
    float weight;
    uint64_t version;
  };
  std::deque<Pull> pulls(workers, {1, 0});
  const uint64_t updates = 400 * workers;
  float largest = 0;
  for (uint64_t t = 0; t < updates; ++t) {
    const Pull pull = pulls.front();
    pulls.pop_front();
    REQUIRE_OK(chunk->Push(*rule, t, pull.version, std::vector<float>{pull.weight}));
    pulls.push_back({Pulled(*chunk, *rule), chunk->image().version});
    if (t >= updates * 3 / 4) largest = std::max(largest, std::abs(chunk->image().weights[0]));
  }
  return largest;
}

TEST_CASE("descent with momentum is stable at rates that fall with the number of workers only") {
  // Three quarters of the limits, as the roots of the characteristic polynomial have them, times 1 - m.
  for (const auto& [workers, limit] :
       std::vector<std::pair<size_t, double>>{{1, 3.8}, {2, 1.15}, {4, 0.51}, {8, 0.238}, {16, 0.115}, {32, 0.057}}) {
    INFO(workers << " workers");
    CHECK(Descend(0.75 * limit, workers) < 0.1f);
  }
}

TEST_CASE("workers that all wait for each other descend with momentum") {
  const auto rule = Rule(0.1, "0.9");
  const auto chunk = OneWeight(1);
  for (uint64_t t = 0; t < 3200;) {
    const float weight = Pulled(*chunk, *rule);
    const uint64_t version = chunk->image().version;
    for (int worker = 0; worker < 8; ++worker, ++t)
      REQUIRE_OK(chunk->Push(*rule, t, version, std::vector<float>{weight}));
  }
  CHECK(std::abs(chunk->image().weights[0]) < 1e-3f);
}

TEST_CASE("pushes of a worker that was away for long do not change what those are given that come in time") {
  const auto rule = Rule(0.3, "0.9");
  const auto chunk = OneWeight(1);
  for (uint64_t t = 0; t < 3200; ++t) {
    const bool late = t % 20 == 19;
    const float weight = Pulled(*chunk, *rule);
    REQUIRE_OK(chunk->Push(*rule, t, late ? 0 : chunk->image().version, std::vector<float>{late ? 0 : weight}));
  }
  CHECK(std::abs(chunk->image().weights[0]) < 1e-3f);
}

TEST_CASE("a push of a worker that pulled before its server was restored says nothing of how late others are") {
  const auto rule = Rule(0.1, "0.9");
  const auto chunk = OneWeight(0);
  for (uint64_t t = 0; t < 100; ++t)
    REQUIRE_OK(chunk->Push(*rule, t, t - std::min<uint64_t>(t, 3), std::vector<float>{0}));
  const double before = chunk->image().lateness.usual.value;
  REQUIRE_OK(chunk->Push(*rule, 100, 5000, std::vector<float>{0}));
  CHECK(chunk->image().lateness.usual.value == before);
  CHECK(chunk->last_staleness() == 0);
}

TEST_CASE("a job may have late gradients applied as others") {
  const auto rule = Rule(0.5, "0");
  const auto chunk = OneWeight(0, {.plain = true});
  for (uint64_t t = 0; t < 20; ++t) {
    REQUIRE_OK(chunk->Push(*rule, t, 0, std::vector<float>{1}));
    REQUIRE(chunk->image().weights[0] == -0.5f * static_cast<float>(t + 1));
    REQUIRE(Pulled(*chunk, *rule) == chunk->image().weights[0]);
  }
  CHECK(chunk->counters().staleness_max() == 19);
}

TEST_CASE("delay compensation is g + lambda g g (w - v)") {
  const std::vector<float> gradient = {0.3f, -1.7f, 2.5f, 1e-3f};
  const std::vector<float> weights = {0.11f, -0.52f, 1.9f, 4.0f};
  const std::vector<float> pulled = {0.2f, -0.5f, 1.25f, 4.0f};
  const std::vector<float> compensated = CompensateDelay(0.04f, gradient, weights, pulled);
  // In Python.
  const std::vector<double> expected = {0.299676, -1.702312, 2.6625, 0.001};
  for (size_t i = 0; i < expected.size(); ++i) CHECK(compensated[i] == Approx(expected[i]).epsilon(1e-6));
}

TEST_CASE(
    "a late gradient is compensated for what came between its pull and its push, in the weights as they were given") {
  const auto rule = Rule(0.5, "0");
  const auto chunk = OneWeight(1, {.plain = true, .delay_compensation = 0.25f});
  REQUIRE(Pulled(*chunk, *rule) == 1);
  // In time.
  REQUIRE_OK(chunk->Push(*rule, 0, 0, std::vector<float>{4}));
  REQUIRE(chunk->image().weights[0] == -1);
  REQUIRE_OK(chunk->Push(*rule, 1, 1, std::vector<float>{-2}));
  REQUIRE(chunk->image().weights[0] == 0);
  // 2 late: g = 2 + 0.25 * 4 * (0 - 1) = 1.
  REQUIRE_OK(chunk->Push(*rule, 2, 0, std::vector<float>{2}));
  REQUIRE(chunk->image().weights[0] == -0.5f);
  // Of a version that nobody was given here: as it is.
  REQUIRE_OK(chunk->Push(*rule, 3, 2, std::vector<float>{2}));
  REQUIRE(chunk->image().weights[0] == -1.5f);
}

TEST_CASE("statistics are not compensated, and what becomes infinite is refused") {
  const auto rule = Rule(1, "0");
  ChunkImage image;
  image.weights = {0, 0};
  image.state = {{0, 0}};
  RuleSegment statistic{1, 2};
  statistic.rule = v1::UPDATE_RULE_MOVING_AVERAGE;
  statistic.moving_average_fraction = 1;
  Chunk chunk(std::move(image), {RuleSegment{0, 1, 1, 1}, statistic}, {.plain = true, .delay_compensation = 1});
  std::vector<float> pulled(2);
  chunk.WritePulled(*rule, {}, reinterpret_cast<char*>(pulled.data()));
  REQUIRE_OK(chunk.Push(*rule, 0, 0, std::vector<float>{-1, 3e30f}));
  // 2 + 4 * (1 - 0); the statistic's square would be infinite.
  REQUIRE_OK(chunk.Push(*rule, 1, 0, std::vector<float>{2, 3e30f}));
  REQUIRE(chunk.image().weights == std::vector<float>{1 - 6, 6e30f});
  REQUIRE_STATUS(chunk.Push(*rule, 2, 0, std::vector<float>{1e30f, 0}), absl::StatusCode::kInvalidArgument,
                 "smaller lambda");
  REQUIRE(chunk.image().version == 2);
  REQUIRE(chunk.counters().rejected() == 1);
}

TEST_CASE("a bounded number of versions is kept, the newest") {
  PastWeights past;
  for (uint64_t version = 0; version < 40; ++version) {
    const float weight = static_cast<float>(version);
    // The same push again changes nothing.
    for (int i = 0; i < 3; ++i) past.Keep(version, reinterpret_cast<const char*>(&weight), 1);
  }
  CHECK(past.Find(39 - PastWeights::kVersions).empty());
  for (uint64_t version = 40 - PastWeights::kVersions; version < 40; ++version) {
    REQUIRE(past.Find(version).size() == 1);
    CHECK(past.Find(version)[0] == static_cast<float>(version));
  }
  CHECK(PastWeights().Find(0).empty());
}

}  // namespace
}  // namespace samovar
