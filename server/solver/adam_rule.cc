// Adam.
#include <cmath>
#include <cstring>

#include "server/solver/segment_loop.h"
#include "server/solver/solver_rules.h"

namespace samovar {
namespace {

// Adam (Kingma and Ba 2015). Two histories, the moments m1 and v; b1 = momentum, b2 = momentum2, s = t + 1:
//   m1 <- b1 m1 + (1 - b1) g
//   v  <- b2 v + (1 - b2) g^2
//   u = (a sqrt(1 - b2^s) / (1 - b1^s)) m1 / (sqrt(v) + delta)
// delta is outside of the correction, other than in the paper. The correction is that of the iteration's index, however
// many updates a chunk has had by then; it is computed in double and rounded once.
//
// Where gradients are late, m1 <- m' m1 + (1 - b1) g is the sum of as many gradients as its longer memory holds, and u
// is multiplied by q; m1 is not corrected then, since it begins slowly on purpose.
class AdamRule final : public CaffeRule {
 public:
  explicit AdamRule(const caffe::SolverParameter& solver)
      : CaffeRule(solver), delta_(solver.delta()), beta1_(solver.momentum()), beta2_(solver.momentum2()) {}

  int state_vectors() const override { return 2; }
  bool spreads_steps() const override { return false; }
  Stretch StretchFor(double staleness) const override { return StretchMomentum(beta1_, staleness); }

 private:
  float Correction(uint64_t t, bool late) const {
    const double step = static_cast<double>(t) + 1;
    const double second = std::sqrt(1.0 - std::pow(static_cast<double>(beta2_), step));
    return static_cast<float>(late ? second : second / (1.0 - std::pow(static_cast<double>(beta1_), step)));
  }

  void Run(uint64_t t, const SegmentPass& pass) const override {
    const float fresh1 = 1.0f - beta1_;
    const float fresh2 = 1.0f - beta2_;
    const float rate = pass.rate * Correction(t, pass.late) * pass.stretch.share;
    RunWithTwoHistories(pass, [delta = delta_, kept = pass.stretch.kept, beta2 = beta2_, fresh1, fresh2, rate](
                                  float g, float& m1, float& v) {
      m1 = kept * m1 + fresh1 * g;
      v = beta2 * v + fresh2 * (g * g);
      return rate * (m1 / (std::sqrt(v) + delta));
    });
  }

  void RunAhead(uint64_t t, const SegmentPass& pass, char* to) const override {
    const float rate = pass.rate * Correction(t, pass.late) * pass.stretch.ahead;
    AtVectorLevel(
        [count = pass.count, from = pass.weights, m1 = pass.state[0], v = pass.state[1], delta = delta_, rate, to] {
          char* __restrict target = to;
          for (size_t i = 0; i < count; ++i) {
            const float value = from[i] - rate * (m1[i] / (std::sqrt(v[i]) + delta));
            std::memcpy(target + i * sizeof(float), &value, sizeof(float));
          }
        });
  }

  const float delta_;
  const float beta1_;
  const float beta2_;
};

}  // namespace

std::unique_ptr<const SolverRule> MakeAdamRule(const caffe::SolverParameter& solver) {
  return std::make_unique<const AdamRule>(solver);
}

}  // namespace samovar
