#include "common/model/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

absl::Status Wrong(const caffe::SolverParameter& solver, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("solver: lr_policy \"", solver.lr_policy(), "\" ", what));
}

absl::Status CheckGamma(const caffe::SolverParameter& solver) {
  if (!solver.has_gamma()) return Wrong(solver, "needs gamma; add it, for example \"gamma: 0.1\"");
  if (!std::isfinite(solver.gamma())) return Wrong(solver, "needs a finite gamma");
  return absl::OkStatus();
}

absl::Status CheckNotNegativeGamma(const caffe::SolverParameter& solver) {
  SAMOVAR_RETURN_IF_ERROR(CheckGamma(solver));
  if (solver.gamma() < 0) return Wrong(solver, absl::StrCat("needs gamma >= 0, not ", solver.gamma()));
  return absl::OkStatus();
}

absl::Status CheckPower(const caffe::SolverParameter& solver) {
  if (!solver.has_power()) return Wrong(solver, "needs power; add it, for example \"power: 0.75\"");
  if (!std::isfinite(solver.power())) return Wrong(solver, "needs a finite power");
  return absl::OkStatus();
}

absl::Status CheckStepValues(const caffe::SolverParameter& solver) {
  int64_t previous = -1;
  for (int32_t value : solver.stepvalue()) {
    if (value <= previous) {
      return Wrong(solver, absl::StrCat("needs stepvalue to ascend from 0 up; ", value, " does not follow ", previous));
    }
    previous = value;
  }
  return absl::OkStatus();
}

absl::Status CheckPolicy(const caffe::SolverParameter& solver) {
  const std::string& policy = solver.lr_policy();
  if (policy == "fixed") return absl::OkStatus();
  if (policy == "step") {
    if (solver.stepsize() <= 0) return Wrong(solver, absl::StrCat("needs stepsize > 0, not ", solver.stepsize()));
    return CheckGamma(solver);
  }
  if (policy == "exp") return CheckGamma(solver);
  if (policy == "inv") {
    SAMOVAR_RETURN_IF_ERROR(CheckNotNegativeGamma(solver));
    return CheckPower(solver);
  }
  if (policy == "multistep") {
    SAMOVAR_RETURN_IF_ERROR(CheckStepValues(solver));
    return CheckGamma(solver);
  }
  if (policy == "poly") {
    if (solver.max_iter() < 0) return Wrong(solver, absl::StrCat("needs max_iter >= 0, not ", solver.max_iter()));
    SAMOVAR_RETURN_IF_ERROR(CheckPower(solver));
    if (solver.power() < 0) return Wrong(solver, absl::StrCat("needs power >= 0, not ", solver.power()));
    return absl::OkStatus();
  }
  if (policy == "sigmoid") return CheckGamma(solver);
  if (policy.empty())
    return absl::InvalidArgumentError("solver: lr_policy is missing; write for example lr_policy: \"fixed\"");
  return absl::InvalidArgumentError(absl::StrCat("solver: unknown lr_policy \"", policy,
                                                 "\"; there are fixed, step, exp, inv, multistep, poly and sigmoid"));
}

double ComputeRate(const caffe::SolverParameter& solver, double t) {
  const std::string& policy = solver.lr_policy();
  const double base = solver.base_lr();
  const double gamma = solver.gamma();
  if (policy == "step") return base * std::pow(gamma, std::floor(t / solver.stepsize()));
  if (policy == "exp") return base * std::pow(gamma, t);
  if (policy == "inv") return base * std::pow(1.0 + gamma * t, -static_cast<double>(solver.power()));
  if (policy == "multistep") {
    const auto& values = solver.stepvalue();
    return base * std::pow(gamma, std::upper_bound(values.begin(), values.end(), t) - values.begin());
  }
  if (policy == "poly") return base * std::pow(std::max(0.0, 1.0 - t / std::max(1, solver.max_iter())), solver.power());
  if (policy == "sigmoid") return base / (1.0 + std::exp(-gamma * (t - solver.stepsize())));
  return base;
}

}  // namespace

absl::Status CheckLearningRate(const caffe::SolverParameter& solver) {
  if (!solver.has_base_lr()) return absl::InvalidArgumentError("solver: base_lr is missing");
  if (!std::isfinite(solver.base_lr())) return absl::InvalidArgumentError("solver: base_lr must be a finite number");
  SAMOVAR_RETURN_IF_ERROR(CheckPolicy(solver));
  // Every policy's magnitude is monotone in t, so that its ends bound it.
  const uint64_t last = static_cast<uint64_t>(std::max(0, solver.max_iter() - 1));
  for (uint64_t t : {uint64_t{0}, last}) {
    if (!std::isfinite(LearningRate(solver, t))) {
      return Wrong(solver, absl::StrCat("gives no finite rate at iteration ", t, "; look at gamma and power"));
    }
  }
  return absl::OkStatus();
}

double LearningRate(const caffe::SolverParameter& solver, uint64_t t) {
  return static_cast<float>(ComputeRate(solver, static_cast<double>(t)));
}

}  // namespace samovar
