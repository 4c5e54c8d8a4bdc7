// Solvers that divide each gradient by the size of those before it: AdaGrad, RMSProp and AdaDelta. They have no
// momentum; where gradients are late, each update u is spread over those to come (segment_loop.h).
#include <cmath>

#include "server/solver/segment_loop.h"
#include "server/solver/solver_rules.h"

namespace samovar {
namespace {

// AdaGrad (Duchi et al. 2011):
//   h <- h + g^2
//   u = a g / (sqrt(h) + delta)
class AdaGradRule final : public CaffeRule {
 public:
  explicit AdaGradRule(const caffe::SolverParameter& solver) : CaffeRule(solver), delta_(solver.delta()) {}

  int state_vectors() const override { return 1; }
  bool spreads_steps() const override { return true; }
  Stretch StretchFor(double staleness) const override { return StretchSteps(/*momentum=*/0, staleness); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    RunWithOneHistory(pass, [delta = delta_, rate = pass.rate](float g, float& h) {
      h = g * g + h;
      return rate * (g / (std::sqrt(h) + delta));
    });
  }

  const float delta_;
};

// RMSProp (Tieleman and Hinton 2012), r = rms_decay:
//   h <- r h + (1 - r) g^2
//   u = a g / (sqrt(h) + delta)
class RmsPropRule final : public CaffeRule {
 public:
  explicit RmsPropRule(const caffe::SolverParameter& solver)
      : CaffeRule(solver), delta_(solver.delta()), rms_decay_(solver.rms_decay()) {}

  int state_vectors() const override { return 1; }
  bool spreads_steps() const override { return true; }
  Stretch StretchFor(double staleness) const override { return StretchSteps(/*momentum=*/0, staleness); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    const float fresh = 1.0f - rms_decay_;
    RunWithOneHistory(pass, [delta = delta_, kept = rms_decay_, fresh, rate = pass.rate](float g, float& h) {
      h = kept * h + fresh * (g * g);
      return rate * (g / (std::sqrt(h) + delta));
    });
  }

  const float delta_;
  const float rms_decay_;
};

// AdaDelta (Zeiler 2012). Two histories, of gradients and of updates before the rate:
//   h1 <- m h1 + (1 - m) g^2
//   v = g sqrt((delta + h2) / (delta + h1))
//   h2 <- m h2 + (1 - m) v^2
//   u = a v
class AdaDeltaRule final : public CaffeRule {
 public:
  explicit AdaDeltaRule(const caffe::SolverParameter& solver)
      : CaffeRule(solver), delta_(solver.delta()), momentum_(solver.momentum()) {}

  int state_vectors() const override { return 2; }
  bool spreads_steps() const override { return true; }
  Stretch StretchFor(double staleness) const override { return StretchSteps(momentum_, staleness); }

 private:
  void Run(uint64_t, const SegmentPass& pass) const override {
    const float fresh = 1.0f - momentum_;
    RunWithTwoHistories(pass,
                        [delta = delta_, kept = momentum_, fresh, rate = pass.rate](float g, float& h1, float& h2) {
                          h1 = kept * h1 + fresh * (g * g);
                          const float v = g * std::sqrt((delta + h2) / (delta + h1));
                          h2 = kept * h2 + fresh * (v * v);
                          return rate * v;
                        });
  }

  const float delta_;
  const float momentum_;
};

}  // namespace

std::unique_ptr<const SolverRule> MakeAdaGradRule(const caffe::SolverParameter& solver) {
  return std::make_unique<const AdaGradRule>(solver);
}

std::unique_ptr<const SolverRule> MakeRmsPropRule(const caffe::SolverParameter& solver) {
  return std::make_unique<const RmsPropRule>(solver);
}

std::unique_ptr<const SolverRule> MakeAdaDeltaRule(const caffe::SolverParameter& solver) {
  return std::make_unique<const AdaDeltaRule>(solver);
}

}  // namespace samovar
