#include "server/store/solver_rule.h"

#include <bit>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "server/store/learning_rate.h"

namespace samovar {
namespace {

enum class Regularization { kNone, kL1, kL2 };

// One loop for each kind of decay, so that each is a straight line that the compiler vectorises.
template <Regularization kKind>
void SgdLoop(size_t count, float rate, float momentum, float decay, float* __restrict weights,
             float* __restrict history, const float* __restrict gradient) {
  for (size_t i = 0; i < count; ++i) {
    float g = gradient[i];
    if constexpr (kKind == Regularization::kL2) g += decay * weights[i];
    if constexpr (kKind == Regularization::kL1) {
      g += decay * (static_cast<float>(weights[i] > 0) - static_cast<float>(weights[i] < 0));
    }
    history[i] = momentum * history[i] + rate * g;
    weights[i] -= history[i];
  }
}

// Stochastic gradient descent with momentum, in Caffe's order of float operations:
//   g <- g + weight_decay * decay_mult * w          (L2; sign(w) instead of w with L1; left out if the factor is 0)
//   h <- momentum * h + (rate(t) * lr_mult) * g
//   w <- w - h
class SgdRule : public SolverRule {
 public:
  explicit SgdRule(const caffe::SolverParameter& solver)
      : solver_(solver),
        regularization_(solver.regularization_type() == "L1" ? Regularization::kL1 : Regularization::kL2) {}

  int state_vectors() const override { return 1; }

  // momentum + momentum^2 + ... + momentum^updates
  float LookaheadFactor(double updates) const override {
    const double momentum = solver_.momentum();
    return static_cast<float>(momentum * (1 - std::pow(momentum, updates)) / (1 - momentum));
  }

  void Apply(uint64_t t, const RuleSegment& segment, std::span<float> weights, std::span<const std::span<float>> state,
             std::span<const float> gradient) const override {
    const size_t count = segment.end - segment.begin;
    const float rate = static_cast<float>(LearningRate(solver_, t)) * segment.lr_mult;
    const float decay = solver_.weight_decay() * segment.decay_mult;
    const auto loop = decay == 0                               ? &SgdLoop<Regularization::kNone>
                      : regularization_ == Regularization::kL1 ? &SgdLoop<Regularization::kL1>
                                                               : &SgdLoop<Regularization::kL2>;
    loop(count, rate, solver_.momentum(), decay, weights.data() + segment.begin, state[0].data() + segment.begin,
         gradient.data() + segment.begin);
  }

 private:
  const caffe::SolverParameter solver_;
  const Regularization regularization_;
};

absl::Status CheckHyperParameters(const caffe::SolverParameter& solver) {
  if (!(solver.momentum() >= 0 && solver.momentum() < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("solver: momentum must be at least 0 and below 1, not ", solver.momentum()));
  }
  if (!(std::isfinite(solver.weight_decay()) && solver.weight_decay() >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("solver: weight_decay must be at least 0, not ", solver.weight_decay()));
  }
  const std::string& regularization = solver.regularization_type();
  if (regularization != "L1" && regularization != "L2") {
    return absl::InvalidArgumentError(
        absl::StrCat("solver: unknown regularization_type \"", regularization, "\"; there are L1 and L2"));
  }
  if (solver.max_iter() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("solver: max_iter must be above 0, not ", solver.max_iter()));
  }
  if (solver.clip_gradients() >= 0) {
    return absl::UnimplementedError(
        "solver: clip_gradients is not offered: it needs the norm of the whole gradient, and a server has its chunks "
        "only; "
        "remove it");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<const SolverRule>> SolverRule::Create(const caffe::SolverParameter& solver) {
  // The enum is the old way to name the type; a file has one of the two.
  if (solver.type() != "SGD" || solver.solver_type() != caffe::SolverParameter::SGD) {
    const std::string type =
        solver.type() != "SGD" ? solver.type() : caffe::SolverParameter::SolverType_Name(solver.solver_type());
    return absl::UnimplementedError(absl::StrCat("solver: type \"", type, "\" is not offered; there is SGD"));
  }
  SAMOVAR_RETURN_IF_ERROR(CheckHyperParameters(solver));
  SAMOVAR_RETURN_IF_ERROR(CheckLearningRate(solver));
  return std::make_unique<const SgdRule>(solver);
}

bool AllFinite(std::span<const float> values) {
  // An exponent of all ones is NaN or infinity. In integers, since a float reduction would not be vectorised.
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t found = 0;
  for (float value : values) found |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  return found == 0;
}

}  // namespace samovar
