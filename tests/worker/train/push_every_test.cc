// Steps that a worker makes between two pushes: push_every.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "server/solver/solver_rule.h"
#include "server/store/chunk.h"
#include "tests/worker/train/small_cluster.h"
#include "worker/train/fed_net.h"
#include "worker/train/local_steps.h"

namespace samovar {
namespace {

using Floats = std::vector<float>;
using Seen = FakeCoordinator::Seen;

caffe::SolverParameter Solver(float momentum, const std::string& regularization) {
  caffe::SolverParameter solver;
  solver.set_max_iter(100);
  solver.set_lr_policy("inv");
  solver.set_base_lr(0.1f);
  solver.set_gamma(0.01f);
  solver.set_power(0.75f);
  solver.set_momentum(momentum);
  solver.set_weight_decay(0.01f);
  solver.set_regularization_type(regularization);
  return solver;
}

// Two blobs that are learned, at different rates, and one of statistics.
v1::ParameterLayout Layout() {
  v1::ParameterLayout layout;
  for (uint32_t i = 0; i < 3; ++i) {
    v1::ParameterBlob* blob = layout.add_blobs();
    blob->set_layer("layer");
    blob->set_index(i);
    blob->add_shape(2);
    blob->set_offset(2 * i);
    blob->set_lr_mult(i == 0 ? 1 : 2);
    blob->set_decay_mult(i == 0 ? 1 : 0);
  }
  layout.mutable_blobs(2)->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
  layout.mutable_blobs(2)->set_moving_average_fraction(0.75f);
  layout.set_elements(6);
  return layout;
}

Floats GradientAt(uint64_t t) {
  Floats gradient(6);
  for (size_t i = 0; i < gradient.size(); ++i) gradient[i] = std::sin(static_cast<float>(7 * t + i + 1));
  return gradient;
}

std::unique_ptr<Chunk> ChunkOf(const Floats& weights, uint32_t push_every) {
  ChunkImage image;
  image.weights = weights;
  image.state = {Floats(weights.size())};
  return std::make_unique<Chunk>(std::move(image), BuildSegments(Layout(), 0, weights.size()),
                                 Chunk::Options{.push_every = push_every});
}

TEST_CASE("a unit of one iteration is, to the bit, what its gradient is to a server") {
  for (const char* regularization : {"L1", "L2"}) {
    for (const float momentum : {0.0f, 0.9f}) {
      const caffe::SolverParameter solver = Solver(momentum, regularization);
      const auto rule = SolverRule::Create(solver);
      REQUIRE_OK(rule);
      const Floats begin = {0.5f, -0.25f, 3, -4, 1, 2};
      const auto plain = ChunkOf(begin, 1);
      const auto chunk = ChunkOf(begin, 2);
      LocalSteps steps(solver, Layout());
      for (uint64_t t = 0; t < 20; ++t) {
        const Floats gradient = GradientAt(t);
        Floats weights = chunk->image().weights;
        steps.Begin();
        steps.Step(t, gradient, weights);
        const Floats displacement(steps.displacement().begin(), steps.displacement().end());
        REQUIRE_OK(plain->Push(**rule, t, t, gradient));
        REQUIRE_OK(chunk->Push(**rule, t, t, displacement));
        REQUIRE(chunk->image().weights == plain->image().weights);
        if (momentum == 0) REQUIRE(weights == plain->image().weights);
      }
      CHECK(chunk->image().ledger == plain->image().ledger);
    }
  }
}

TEST_CASE("the steps of a unit are those of SGD without momentum") {
  const caffe::SolverParameter solver = Solver(0, "L2");
  const auto rule = SolverRule::Create(solver);
  REQUIRE_OK(rule);
  const Floats begin = {0.5f, -0.25f, 3, -4, 1, 2};
  const auto plain = ChunkOf(begin, 1);
  const auto chunk = ChunkOf(begin, 8);
  Floats weights = begin;
  LocalSteps steps(solver, Layout());
  steps.Begin();
  for (uint64_t t = 0; t < 8; ++t) {
    REQUIRE_OK(plain->Push(**rule, t, t, GradientAt(t)));
    steps.Step(t, GradientAt(t), weights);
    // Also where nothing but this worker computes.
    REQUIRE(weights == plain->image().weights);
  }
  REQUIRE_OK(chunk->Push(**rule, 0, 0, steps.displacement(), 0, 8));
  for (size_t i = 0; i < begin.size(); ++i) CHECK(chunk->image().weights[i] == Approx(weights[i]).epsilon(1e-6));
}

// The result of a program without servers: `iterations` iterations in units of four.
Floats TrainLocally(const v1::JobSpec& spec, Floats weights, uint64_t iterations) {
  auto local =
      OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(), NetMeans());
  REQUIRE_OK(local);
  Net& net = *local->net;
  const float rate = spec.solver().base_lr();
  const float decay = spec.solver().weight_decay();
  Floats history(weights.size());
  for (uint64_t unit = 0; unit < iterations; unit += 4) {
    Floats moved(weights.size());
    Floats own = weights;
    for (uint64_t t = unit; t < std::min(unit + 4, iterations); ++t) {
      std::copy(own.begin(), own.end(), net.weights().begin());
      REQUIRE_OK(local->feed->FillIteration(t, 0, TopsOf(net, spec.train_data())));
      REQUIRE_OK(net.Forward(t, spec.seed()));
      REQUIRE_OK(net.Backward([](uint64_t, uint64_t) {}));
      for (size_t i = 0; i < own.size(); ++i) {
        const float update = rate * (net.gradients()[i] + decay * own[i]);
        moved[i] += update;
        own[i] -= update;
      }
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      history[i] = spec.solver().momentum() * history[i] + moved[i];
      weights[i] -= history[i];
    }
  }
  return weights;
}

TEST_CASE("one worker that pushes every four iterations computes what a program without servers would, to the bit") {
  for (const float momentum : {0.0f, 0.9f}) {
    SmallCluster cluster([momentum](v1::JobSpec* spec) {
      spec->mutable_consistency()->set_push_every(4);
      spec->mutable_solver()->set_max_iter(18);
      spec->mutable_solver()->set_momentum(momentum);
      spec->mutable_solver()->set_weight_decay(0.01f);
      for (v1::ParameterBlob& blob : *spec->mutable_layout()->mutable_blobs()) blob.set_decay_mult(1);
    });
    const Floats begin = cluster.Weights();
    // The last unit is of two.
    cluster.coordinator().QueueTraining(0, 8);
    cluster.coordinator().QueueTraining(8, 18);
    RunningWorker worker(cluster.coordinator().address());
    const Seen seen = cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 18; });
    worker.Stop();
    CHECK(seen.failures.empty());
    CHECK(cluster.Applied() == 5 * kChunks);
    for (int i = 0; i < 2; ++i) CHECK(cluster.server(i).Ledgers("small").ledgers(0).ledger().watermark() == 18);
    CHECK(cluster.Weights() == TrainLocally(cluster.spec(), begin, 18));
  }
}

TEST_CASE("two workers share a job in units, some of them twice, and each iteration is in every chunk once") {
  SmallCluster cluster([](v1::JobSpec* spec) {
    spec->mutable_consistency()->set_push_every(4);
    spec->mutable_solver()->set_max_iter(62);
    spec->mutable_solver()->set_iter_size(2);
    spec->mutable_solver()->set_clip_gradients(1);
  });
  for (uint64_t t = 0; t < 60; t += 4) cluster.coordinator().QueueTraining(t, t + 4);
  cluster.coordinator().QueueTraining(60, 62);
  // Again, as behind a straggler.
  cluster.coordinator().QueueTraining(0, 12);
  RunningWorker first(cluster.coordinator().address());
  RunningWorker second(cluster.coordinator().address());
  const Seen seen =
      cluster.coordinator().Await([](const Seen& s) { return s.train.size() == 62 && s.leased.size() == 17; });
  first.Stop();
  second.Stop();
  CHECK(seen.failures.empty());
  CHECK(cluster.Applied() == 16 * kChunks);
  for (int i = 0; i < 2; ++i) CHECK(cluster.server(i).Ledgers("small").ledgers(0).ledger().watermark() == 62);
}

TEST_CASE("a lease that ends within a unit is one that no worker can do") {
  SmallCluster cluster([](v1::JobSpec* spec) { spec->mutable_consistency()->set_push_every(4); });
  cluster.coordinator().QueueTraining(0, 6);
  RunningWorker worker(cluster.coordinator().address());
  const Seen seen = cluster.coordinator().Await([](const Seen& s) { return !s.failures.empty(); });
  CHECK(seen.failures[0].permanent());
  CHECK(seen.failures[0].message() == "iteration 4: the lease ends within a unit of push_every");
}

}  // namespace
}  // namespace samovar
