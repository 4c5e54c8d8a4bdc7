// Solvers with a momentum: SGD and Nesterov's.
#include "server/solver/segment_loop.h"
#include "server/solver/solver_rules.h"

namespace samovar {
namespace {

// Stochastic gradient descent. The rate is inside the history:
//   h <- m h + a g
//   u = q h
class SgdRule final : public CaffeRule {
 public:
  explicit SgdRule(const caffe::SolverParameter& solver) : CaffeRule(solver), momentum_(solver.momentum()) {}

  int state_vectors() const override { return 1; }

  bool spreads_steps() const override { return false; }
  Stretch StretchFor(double staleness) const override { return StretchMomentum(momentum_, staleness); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    const auto [momentum, share, ahead] = pass.stretch;
    RunWithOneHistory(pass, [momentum = momentum, share = share, rate = pass.rate](float g, float& h) {
      h = momentum * h + rate * g;
      return share * h;
    });
  }

  const float momentum_;
};

// Nesterov's accelerated gradient (Sutskever et al. 2013):
//   h' <- m h + a g
//   u = q ((1 + m) h' - m h)
class NesterovRule final : public CaffeRule {
 public:
  explicit NesterovRule(const caffe::SolverParameter& solver) : CaffeRule(solver), momentum_(solver.momentum()) {}

  int state_vectors() const override { return 1; }

  bool spreads_steps() const override { return false; }
  Stretch StretchFor(double staleness) const override { return StretchMomentum(momentum_, staleness); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    const auto [momentum, share, ahead] = pass.stretch;
    const float beyond = 1.0f + momentum;
    RunWithOneHistory(pass, [momentum = momentum, share = share, beyond, rate = pass.rate](float g, float& h) {
      const float before = -momentum * h;
      h = momentum * h + rate * g;
      return share * (before + beyond * h);
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
