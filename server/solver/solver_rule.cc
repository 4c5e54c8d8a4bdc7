#include "server/solver/solver_rule.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/vector_level.h"
#include "common/model/learning_rate.h"
#include "common/model/solver_history.h"
#include "server/solver/solver_rules.h"

namespace samovar {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// A factor of a decaying average.
absl::Status CheckFactor(const char* field, float value) {
  if (value >= 0 && value < 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("solver: ", field, " must be at least 0 and below 1, not ", value));
}

// The solver's `delta`, which is added to a divisor: at 0, a gradient of 0 would make a NaN.
absl::Status CheckDelta(const caffe::SolverParameter& solver) {
  if (std::isfinite(solver.delta()) && solver.delta() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("solver: delta must be a finite number above 0, not ", solver.delta(), "; its default is 1e-8"));
}

absl::Status CheckNoMomentum(const caffe::SolverParameter& solver, const std::string& type) {
  if (solver.momentum() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("solver: type \"", type, "\" has no momentum, but momentum is ",
                                                 solver.momentum(), "; remove it, or write momentum: 0"));
}

absl::Status CheckCommon(const caffe::SolverParameter& solver) {
  SAMOVAR_RETURN_IF_ERROR(CheckFactor("momentum", solver.momentum()));
  if (!(std::isfinite(solver.weight_decay()) && solver.weight_decay() >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("solver: weight_decay must be at least 0, not ", solver.weight_decay()));
  }
  const std::string& regularization = solver.regularization_type();
  if (regularization != "L1" && regularization != "L2") {
    return absl::InvalidArgumentError(
        absl::StrCat("solver: unknown regularization_type \"", regularization, "\"; there are L1 and L2"));
  }
  if (solver.max_iter() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("solver: max_iter must be at least 0, not ", solver.max_iter()));
  }
  return CheckLearningRate(solver);
}

// The further fields that the type reads.
absl::Status CheckOfType(const caffe::SolverParameter& solver, const std::string& type) {
  if (type == "SGD" || type == "Nesterov") return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(CheckDelta(solver));
  if (type == "AdaGrad" || type == "RMSProp") SAMOVAR_RETURN_IF_ERROR(CheckNoMomentum(solver, type));
  if (type == "RMSProp") return CheckFactor("rms_decay", solver.rms_decay());
  if (type == "Adam") return CheckFactor("momentum2", solver.momentum2());
  return absl::OkStatus();
}

caffe::SolverParameter WithoutNets(const caffe::SolverParameter& solver) {
  caffe::SolverParameter small = solver;
  small.clear_net_param();
  small.clear_train_net_param();
  small.clear_test_net_param();
  return small;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const SolverRule>> SolverRule::Create(const caffe::SolverParameter& solver) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string type, SolverTypeOf(solver));
  SAMOVAR_RETURN_IF_ERROR(CheckCommon(solver));
  SAMOVAR_RETURN_IF_ERROR(CheckOfType(solver, type));
  if (type == "Nesterov") return MakeNesterovRule(solver);
  if (type == "AdaGrad") return MakeAdaGradRule(solver);
  if (type == "RMSProp") return MakeRmsPropRule(solver);
  if (type == "AdaDelta") return MakeAdaDeltaRule(solver);
  if (type == "Adam") return MakeAdamRule(solver);
  return MakeSgdRule(solver);
}

CaffeRule::CaffeRule(const caffe::SolverParameter& solver) : solver_(WithoutNets(solver)) {}

SegmentPass CaffeRule::PassOver(const RuleSegment& segment, std::span<float> weights,
                                std::span<const std::span<float>> state, double staleness,
                                std::span<float> steps) const {
  SegmentPass pass;
  pass.count = segment.end - segment.begin;
  pass.weights = weights.data() + segment.begin;
  for (size_t i = 0; i < state.size(); ++i) pass.state[i] = state[i].data() + segment.begin;
  if (staleness > 0 && spreads_steps()) pass.steps = steps.data() + segment.begin;
  pass.late = staleness > 0;
  pass.stretch = StretchFor(staleness);
  return pass;
}

void CaffeRule::Apply(uint64_t t, const RuleSegment& segment, std::span<float> weights,
                      std::span<const std::span<float>> state, std::span<const float> gradient, const LateStep& late,
                      std::span<float> steps) const {
  SegmentPass pass = PassOver(segment, weights, state, late.staleness, steps);
  pass.gradient = gradient.data() + segment.begin;
  pass.cut = late.cut;
  if (spreads_steps()) pass.cut *= late.warm_up;
  pass.rate = static_cast<float>(LearningRate(solver_, t)) * segment.lr_mult * late.warm_up;
  pass.decay = solver_.weight_decay() * segment.decay_mult;
  pass.decay_kind = DecayOf(solver_, pass.decay);
  Run(t, pass);
}

void CaffeRule::ApplyDisplacement(const RuleSegment& segment, std::span<float> weights,
                                  std::span<const std::span<float>> state, std::span<const float> displacement,
                                  const LateStep& late) const {
  SegmentPass pass = PassOver(segment, weights, state, late.staleness, /*steps=*/{});
  pass.gradient = displacement.data() + segment.begin;
  pass.cut = late.cut;
  pass.rate = late.warm_up;
  // The iteration counts in Adam's rule only.
  Run(/*t=*/0, pass);
}

void CaffeRule::WriteAhead(uint64_t t, double staleness, const RuleSegment& segment, std::span<float> weights,
                           std::span<const std::span<float>> state, std::span<float> steps, char* to) const {
  SegmentPass pass = PassOver(segment, weights, state, staleness, steps);
  pass.rate = static_cast<float>(LearningRate(solver_, t)) * segment.lr_mult;
  RunAhead(t, pass, to + segment.begin * sizeof(float));
}

void CaffeRule::RunAhead(uint64_t, const SegmentPass& pass, char* to) const {
  const float* const history = spreads_steps() ? pass.steps : pass.state[0];
  AtVectorLevel([count = pass.count, from = pass.weights, history, ahead = pass.stretch.ahead, to] {
    char* __restrict target = to;
    for (size_t i = 0; i < count; ++i) {
      const float value = from[i] - ahead * history[i];
      std::memcpy(target + i * sizeof(float), &value, sizeof(float));
    }
  });
}

void MergeStatistics(const RuleSegment& segment, std::span<float> weights, std::span<const float> pushed) {
  AtVectorLevel([=] {
    float* __restrict target = weights.data();
    const float* __restrict source = pushed.data();
    for (size_t i = segment.begin; i < segment.end; ++i) {
      const float merged = segment.moving_average_fraction * target[i] + source[i];
      target[i] = std::clamp(merged, -kLargest, kLargest);
    }
  });
}

bool AllFinite(std::span<const float> values) {
  // An exponent of all ones is NaN or infinity. In integers, since a float reduction would not be vectorised.
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t found = 0;
  AtVectorLevel([values, &found] {
    uint32_t any = 0;
    for (float value : values) any |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
    found = any;
  });
  return found == 0;
}

}  // namespace samovar
