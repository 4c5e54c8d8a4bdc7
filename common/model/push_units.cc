#include "common/model/push_units.h"

#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/solver_history.h"

namespace samovar {
namespace {

// " 5 or 10": those closest to push_every that divide both intervals. REQUIRES: push_every does not, and it is above 1
std::string NearestDivisors(int64_t interval, int64_t other, uint32_t push_every) {
  const int64_t common = std::gcd(interval, other);
  int64_t below = std::min<int64_t>(push_every, common);
  while (common % below != 0) --below;
  int64_t above = int64_t{push_every} + 1;
  while (above <= kMaxPushEvery && common % above != 0) ++above;
  return above > kMaxPushEvery || above > common ? absl::StrCat(below) : absl::StrCat(below, " or ", above);
}

// `other`: the other interval, or 0.
absl::Status CheckInterval(const char* field, int64_t interval, int64_t other, uint32_t push_every) {
  if (interval <= 0 || interval % push_every == 0) return absl::OkStatus();
  const int64_t rounded = (interval / push_every + 1) * push_every;
  return absl::InvalidArgumentError(absl::StrCat("push_every ", push_every, " does not divide ", field, " ", interval,
                                                 ", which would fall between two pushes: write ", field, ": ", rounded,
                                                 " in the solver, or choose push_every ",
                                                 NearestDivisors(interval, std::max<int64_t>(0, other), push_every)));
}

}  // namespace

absl::Status CheckPushUnits(uint32_t push_every, const caffe::SolverParameter& solver, bool in_order,
                            float delay_compensation) {
  if (push_every <= 1) return absl::OkStatus();
  if (push_every > kMaxPushEvery) {
    return absl::InvalidArgumentError(absl::StrCat("push_every must be at most ", kMaxPushEvery, ", not ", push_every));
  }
  if (in_order) {
    return absl::InvalidArgumentError(absl::StrCat(
        "push_every ", push_every,
        " keeps iterations at the worker until it pushes, and in this mode each is computed from weights that hold "
        "all before it; leave push_every out, or take the mode async, or bounded with a delay of at least ",
        push_every));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::string type, SolverTypeOf(solver));
  if (type != "SGD") {
    return absl::InvalidArgumentError(absl::StrCat(
        "push_every ", push_every,
        " is for solvers of type SGD: what is pushed is how far the weights have moved, and the history of type ", type,
        " is made of single gradients; leave push_every out, or write type: \"SGD\""));
  }
  if (delay_compensation != 0) {
    return absl::InvalidArgumentError(
        "delay_compensation corrects gradients, and with push_every it is not gradients that are pushed; leave one of "
        "them out");
  }
  return absl::OkStatus();
}

absl::Status CheckPushUnits(const v1::JobSpec& spec) {
  const uint32_t push_every = spec.push_every();
  if (push_every <= 1) return absl::OkStatus();
  const bool bounded = spec.mode() == v1::CONSISTENCY_BOUNDED;
  const bool in_order = spec.mode() == v1::CONSISTENCY_SYNC || (bounded && spec.delay() < push_every);
  SAMOVAR_RETURN_IF_ERROR(CheckPushUnits(push_every, spec.solver(), in_order, spec.delay_compensation()));
  if (spec.on_numeric_failure() == v1::NUMERIC_FAILURE_SKIP) {
    return absl::InvalidArgumentError(
        "an iteration is skipped before it is pushed, and with push_every several are pushed as one; leave one of them "
        "out");
  }
  const caffe::SolverParameter& solver = spec.solver();
  const int64_t test_interval = spec.test_nets_size() > 0 ? solver.test_interval() : 0;
  SAMOVAR_RETURN_IF_ERROR(CheckInterval("snapshot", solver.snapshot(), test_interval, push_every));
  return CheckInterval("test_interval", test_interval, solver.snapshot(), push_every);
}

}  // namespace samovar
