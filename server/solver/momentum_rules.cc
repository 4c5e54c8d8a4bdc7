// Solvers with a momentum: SGD and Nesterov's.
#include <cmath>

#include "server/solver/segment_loop.h"
#include "server/solver/solver_rules.h"

namespace samovar {
namespace {

// m + m^2 + ... + m^n
float SumOfPowers(double m, double n) { return static_cast<float>(m * (1 - std::pow(m, n)) / (1 - m)); }

// Stochastic gradient descent. The rate is inside the history:
//   h <- m h + a g
//   u = h
class SgdRule final : public CaffeRule {
 public:
  explicit SgdRule(const caffe::SolverParameter& solver) : CaffeRule(solver), momentum_(solver.momentum()) {}

  int state_vectors() const override { return 1; }

  // Updates with gradients of zero move weights by -m h, -m^2 h, ...
  float LookaheadFactor(double updates) const override { return SumOfPowers(momentum_, updates); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    RunWithOneHistory(pass, [momentum = momentum_, rate = pass.rate](float g, float& h) {
      h = momentum * h + rate * g;
      return h;
    });
  }

  const float momentum_;
};

// Nesterov's accelerated gradient (Sutskever et al. 2013):
//   h' <- m h + a g
//   u = (1 + m) h' - m h
class NesterovRule final : public CaffeRule {
 public:
  explicit NesterovRule(const caffe::SolverParameter& solver) : CaffeRule(solver), momentum_(solver.momentum()) {}

  int state_vectors() const override { return 1; }

  // Updates with gradients of zero move weights by -m^2 h, -m^3 h, ...
  float LookaheadFactor(double updates) const override { return momentum_ * SumOfPowers(momentum_, updates); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    const float beyond = 1.0f + momentum_;
    RunWithOneHistory(pass, [momentum = momentum_, beyond, rate = pass.rate](float g, float& h) {
      const float before = -momentum * h;
      h = momentum * h + rate * g;
      return before + beyond * h;
    });
  }

  const float momentum_;
};

}  // namespace

std::unique_ptr<const SolverRule> MakeSgdRule(const caffe::SolverParameter& solver) {
  return std::make_unique<const SgdRule>(solver);
}

std::unique_ptr<const SolverRule> MakeNesterovRule(const caffe::SolverParameter& solver) {
  return std::make_unique<const NesterovRule>(solver);
}

}  // namespace samovar
