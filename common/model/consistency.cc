#include "common/model/consistency.h"

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/solver_history.h"

namespace samovar {
namespace {

// By the enum's numbers.
constexpr const char* kModes[] = {"async", "bounded", "sync"};
constexpr const char* kEncodings[] = {"float32", "bfloat16", "float16", "int8", "topk"};
constexpr const char* kStalenessScalings[] = {"stretched", "none", "stretched"};
constexpr const char* kNumericFailures[] = {"fail", "skip"};
static_assert(std::size(kModes) == v1::ConsistencyMode_ARRAYSIZE);
static_assert(std::size(kEncodings) == v1::Encoding_ARRAYSIZE);
static_assert(std::size(kStalenessScalings) == v1::StalenessScaling_ARRAYSIZE);
static_assert(std::size(kNumericFailures) == v1::NumericFailurePolicy_ARRAYSIZE);

template <size_t kCount>
std::vector<std::string> NamesIn(const char* const (&names)[kCount]) {
  return {names, names + kCount};
}

template <size_t kCount>
std::string NameIn(const char* const (&names)[kCount], int number) {
  return number >= 0 && static_cast<size_t>(number) < kCount ? names[number] : "unknown";
}

template <typename Enum, size_t kCount>
Enum ValueIn(const char* const (&names)[kCount], absl::string_view name) {
  const auto found = std::find(names, names + kCount, name);
  return static_cast<Enum>(found == names + kCount ? 0 : found - names);
}

absl::Status CheckKnown(const char* field, int number, bool known) {
  if (known) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", number, ", which this version does not know"));
}

absl::Status CheckAtMost(const char* field, uint32_t value, uint32_t most) {
  if (value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " must be at most ", most, ", not ", value));
}

absl::Status CheckMode(const v1::Consistency& consistency) {
  const bool bounded = consistency.mode() == v1::CONSISTENCY_BOUNDED;
  const bool sync = consistency.mode() == v1::CONSISTENCY_SYNC;
  SAMOVAR_RETURN_IF_ERROR(CheckKnown("mode", consistency.mode(), v1::ConsistencyMode_IsValid(consistency.mode())));
  if (consistency.delay() != 0 && !bounded)
    return absl::InvalidArgumentError("delay is for the mode CONSISTENCY_BOUNDED only");
  if (sync != (consistency.parts() != 0))
    return absl::InvalidArgumentError("parts must be at least 1 in the mode CONSISTENCY_SYNC, and 0 in others");
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost("delay", consistency.delay(), kMaxDelay));
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost("parts", consistency.parts(), kMaxParts));
  SAMOVAR_RETURN_IF_ERROR(CheckKnown("part_sum_order", consistency.part_sum_order(),
                                     v1::PartSumOrder_IsValid(consistency.part_sum_order())));
  return CheckKnown("on_numeric_failure", consistency.on_numeric_failure(),
                    v1::NumericFailurePolicy_IsValid(consistency.on_numeric_failure()));
}

absl::Status CheckEncoding(const v1::Consistency& consistency) {
  SAMOVAR_RETURN_IF_ERROR(CheckKnown("encoding", consistency.encoding(), v1::Encoding_IsValid(consistency.encoding())));
  const double ratio = consistency.topk_ratio();
  const bool sparse = consistency.encoding() == v1::ENCODING_SPARSE;
  const bool has_ratio = ratio > 0 && ratio <= 1;
  if (sparse ? !has_ratio : ratio != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("topk_ratio must be above 0 and at most 1 with the encoding topk, and 0 otherwise, not ", ratio));
  }
  if (!sparse || consistency.mode() != v1::CONSISTENCY_SYNC) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the encoding topk keeps parts of gradients at the worker that computed them, so that the model depends on which "
      "worker computes which iteration, and the mode sync promises that it does not; take the mode async or bounded, "
      "or another encoding");
}

// Whether the treatment of late gradients goes with the mode.
absl::Status CheckLateGradients(const v1::Consistency& consistency) {
  const v1::StalenessScaling scaling = consistency.staleness_scaling();
  const float compensation = consistency.delay_compensation();
  SAMOVAR_RETURN_IF_ERROR(CheckKnown("staleness_scaling", scaling, v1::StalenessScaling_IsValid(scaling)));
  if (!(std::isfinite(compensation) && compensation >= 0))
    return absl::InvalidArgumentError(absl::StrCat("delay_compensation must be at least 0, not ", compensation));
  const bool asked = scaling != v1::STALENESS_SCALING_STRETCHED || compensation != 0;
  if (!asked || !InOrder(consistency)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "staleness_scaling and delay_compensation are for gradients that come late, and in this mode none does: "
      "iterations are applied in their order, each computed from the weights that it is applied to; leave them out, or "
      "take the mode async, or bounded with a delay of at least 1");
}

// Whether units go with the mode and the solver.
absl::Status CheckUnits(const v1::Consistency& consistency, const caffe::SolverParameter& solver) {
  const uint32_t push_every = PushEvery(consistency);
  if (push_every == 1) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(CheckAtMost("push_every", push_every, kMaxPushEvery));
  const bool bounded = consistency.mode() == v1::CONSISTENCY_BOUNDED;
  if (InOrder(consistency) || (bounded && consistency.delay() < push_every)) {
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
        " is for solvers of type SGD: a push says how far the weights have moved, and the history of type ", type,
        " is made of single gradients; leave push_every out, or write type: \"SGD\""));
  }
  if (consistency.delay_compensation() != 0) {
    return absl::InvalidArgumentError(
        "delay_compensation corrects gradients, and with push_every it is not gradients that are pushed; leave one of "
        "them out");
  }
  if (!SkipsWhatIsNotFinite(consistency)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "an iteration is skipped before it is pushed, and with push_every several are pushed as one; leave one of them "
      "out");
}

// " 5 or 10": those closest to push_every that divide both intervals. REQUIRES: push_every does not, and it is above 1
std::string NearestDivisors(int64_t interval, int64_t other, uint32_t push_every) {
  const int64_t common = std::gcd(interval, other);
  int64_t below = std::min<int64_t>(push_every, common);
  while (common % below != 0) --below;
  int64_t above = int64_t{push_every} + 1;
  while (above <= kMaxPushEvery && common % above != 0) ++above;
  return above > kMaxPushEvery || above > common ? absl::StrCat(below) : absl::StrCat(below, " or ", above);
}

// Whether units end where the interval does. `other`: the other interval, or 0.
absl::Status CheckInterval(const char* field, int64_t interval, int64_t other, uint32_t push_every) {
  if (interval <= 0 || interval % push_every == 0) return absl::OkStatus();
  const int64_t rounded = (interval / push_every + 1) * push_every;
  return absl::InvalidArgumentError(absl::StrCat("push_every ", push_every, " does not divide ", field, " ", interval,
                                                 ", which would fall between two pushes: write ", field, ": ", rounded,
                                                 " in the solver, or choose push_every ",
                                                 NearestDivisors(interval, std::max<int64_t>(0, other), push_every)));
}

// Whether each data layer's batch can be cut into the parts.
absl::Status CheckBatches(uint32_t parts, const v1::DatasetSpec& data) {
  const auto divides = [parts](const v1::DatasetSpec& one) { return parts == 0 || one.batch_size() % parts == 0; };
  if (divides(data) && std::all_of(data.further().begin(), data.further().end(), divides)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("parts ", parts, " must divide the batch of ", data.batch_size(), " records"));
}

}  // namespace

uint32_t PartsOf(const v1::Consistency& consistency) {
  if (consistency.mode() == v1::CONSISTENCY_SYNC) return consistency.parts();
  return consistency.mode() == v1::CONSISTENCY_BOUNDED && consistency.delay() == 0 ? 1 : 0;
}

bool SumsPartsAnew(const v1::Consistency& consistency) {
  return PartsOf(consistency) > 3 && consistency.part_sum_order() != v1::PART_SUM_ORDER_TREE;
}

bool ServersClip(const v1::Consistency& consistency, const caffe::SolverParameter& solver) {
  return PartsOf(consistency) > 1 && solver.clip_gradients() >= 0;
}

std::optional<uint64_t> WatermarkFor(const v1::Consistency& consistency, uint64_t t) {
  switch (consistency.mode()) {
    case v1::CONSISTENCY_BOUNDED:
      return t - std::min<uint64_t>(t, consistency.delay());
    case v1::CONSISTENCY_SYNC:
      return t;
    default:
      return std::nullopt;
  }
}

absl::Status CheckConsistency(const v1::Consistency& consistency, const caffe::SolverParameter& solver) {
  SAMOVAR_RETURN_IF_ERROR(CheckEncoding(consistency));
  SAMOVAR_RETURN_IF_ERROR(CheckMode(consistency));
  SAMOVAR_RETURN_IF_ERROR(CheckLateGradients(consistency));
  return CheckUnits(consistency, solver);
}

absl::Status CheckConsistency(const v1::JobSpec& spec) {
  const v1::Consistency& consistency = spec.consistency();
  const caffe::SolverParameter& solver = spec.solver();
  SAMOVAR_RETURN_IF_ERROR(CheckConsistency(consistency, solver));
  SAMOVAR_RETURN_IF_ERROR(CheckBatches(consistency.parts(), spec.train_data()));
  const int64_t test_interval = spec.test_nets_size() > 0 ? solver.test_interval() : 0;
  SAMOVAR_RETURN_IF_ERROR(CheckInterval("snapshot", solver.snapshot(), test_interval, PushEvery(consistency)));
  return CheckInterval("test_interval", test_interval, solver.snapshot(), PushEvery(consistency));
}

// Nobody asks for the accuracy of a shorter job.
constexpr uint64_t kShortestAdvised = 1000;

std::optional<uint64_t> WorkersWithoutLoss(const v1::Consistency& consistency, uint64_t max_iter) {
  constexpr uint64_t kRounds = 250;
  if (consistency.mode() != v1::CONSISTENCY_ASYNC) return std::nullopt;
  return std::max<uint64_t>(1, max_iter / PushEvery(consistency) / kRounds);
}

std::string TooManyWorkersText(const v1::Consistency& consistency, uint64_t max_iter, uint64_t workers) {
  const std::optional<uint64_t> most = WorkersWithoutLoss(consistency, max_iter);
  if (!most.has_value() || workers <= *most || max_iter < kShortestAdvised) return "";
  return absl::StrCat("in async mode ", workers, " workers cost accuracy: ", max_iter, " iterations are enough for ",
                      *most, *most == 1 ? " worker" : " workers",
                      "; use no more, or --mode bounded or --mode sync, where all of them can help");
}

std::string ConsistencyText(const v1::Consistency& consistency) {
  std::string text = ModeName(consistency.mode());
  if (consistency.mode() == v1::CONSISTENCY_BOUNDED) absl::StrAppend(&text, ", delay ", consistency.delay());
  if (consistency.mode() == v1::CONSISTENCY_SYNC)
    absl::StrAppend(&text, " in ", consistency.parts(), consistency.parts() == 1 ? " part" : " parts");
  if (PushEvery(consistency) > 1) absl::StrAppend(&text, ", a push every ", PushEvery(consistency), " iterations");
  if (consistency.staleness_scaling() != v1::STALENESS_SCALING_STRETCHED)
    absl::StrAppend(&text, ", staleness ", StalenessScalingName(consistency.staleness_scaling()));
  if (consistency.delay_compensation() != 0)
    absl::StrAppend(&text, ", compensation ", consistency.delay_compensation());
  if (consistency.encoding() != v1::ENCODING_FLOAT32)
    absl::StrAppend(&text, ", ", EncodingName(consistency.encoding()));
  if (consistency.encoding() == v1::ENCODING_SPARSE) absl::StrAppend(&text, " ", consistency.topk_ratio());
  return text;
}

std::vector<std::string> ModeNames() { return NamesIn(kModes); }
std::string ModeName(v1::ConsistencyMode mode) { return NameIn(kModes, mode); }
v1::ConsistencyMode ModeOf(absl::string_view name) { return ValueIn<v1::ConsistencyMode>(kModes, name); }

std::vector<std::string> EncodingNames() { return NamesIn(kEncodings); }
std::string EncodingName(v1::Encoding encoding) { return NameIn(kEncodings, encoding); }
v1::Encoding EncodingOf(absl::string_view name) { return ValueIn<v1::Encoding>(kEncodings, name); }

std::vector<std::string> StalenessScalingNames() { return {kStalenessScalings[0], kStalenessScalings[1]}; }
std::string StalenessScalingName(v1::StalenessScaling scaling) { return NameIn(kStalenessScalings, scaling); }
v1::StalenessScaling StalenessScalingOf(absl::string_view name) {
  return ValueIn<v1::StalenessScaling>(kStalenessScalings, name);
}

std::vector<std::string> NumericFailureNames() { return NamesIn(kNumericFailures); }
std::string NumericFailureName(v1::NumericFailurePolicy policy) { return NameIn(kNumericFailures, policy); }
v1::NumericFailurePolicy NumericFailureOf(absl::string_view name) {
  return ValueIn<v1::NumericFailurePolicy>(kNumericFailures, name);
}

}  // namespace samovar
