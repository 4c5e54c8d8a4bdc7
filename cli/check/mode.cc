#include "cli/check/mode.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/check/check_net.h"
#include "common/base/status_macros.h"
#include "common/caffe/net_origin.h"
#include "common/model/push_units.h"

namespace samovar {
namespace {

// Ascending.
std::vector<uint32_t> DivisorsOf(uint32_t number) {
  std::vector<uint32_t> divisors;
  for (uint32_t i = 1; i <= number; ++i) {
    if (number % i == 0) divisors.push_back(i);
  }
  return divisors;
}

absl::StatusOr<uint32_t> ChooseParts(const ModeChoice& choice, const v1::JobSpec& spec) {
  // Each data layer's batch is cut into the parts.
  uint32_t batch = spec.train_data().batch_size();
  for (const v1::DatasetSpec& further : spec.train_data().further()) batch = std::gcd(batch, further.batch_size());
  const std::vector<uint32_t> divisors = DivisorsOf(batch);
  if (!choice.parts.has_value())
    return *std::prev(std::upper_bound(divisors.begin(), divisors.end(), kMaxDefaultParts));
  if (!std::binary_search(divisors.begin(), divisors.end(), *choice.parts)) {
    return absl::InvalidArgumentError(absl::StrCat("--parts ", *choice.parts, " does not divide the batch of ", batch,
                                                   " records; choose one of ", absl::StrJoin(divisors, ", ")));
  }
  return *choice.parts;
}

// Builds the net for the records of one part: outputs that have a value for each record have fewer values then.
absl::Status BuildForPart(const std::string& solver_path, const NetOrigin* train_origin, v1::JobSpec* spec) {
  NetToCheck net = {spec->train_net(), caffe::TRAIN, static_cast<uint32_t>(spec->solver().iter_size()), solver_path};
  net.built_batch = static_cast<int>(spec->train_data().batch_size() / spec->parts());
  net.of_parts = spec->parts();
  NetOrigin origin;
  if (train_origin != nullptr) origin = *train_origin;
  origin.name =
      absl::StrCat("TRAIN net for ", net.built_batch, " records, one of ", spec->parts(), " parts of the batch");
  net.origin = &origin;
  SAMOVAR_ASSIGN_OR_RETURN(CheckedNet part, CheckNet(net));
  *spec->mutable_train_outputs() = std::move(part.outputs);
  return absl::OkStatus();
}

absl::Status ApplyEncoding(const ModeChoice& choice, v1::JobSpec* spec) {
  spec->set_encoding(EncodingOf(choice.encoding));
  if (spec->encoding() != v1::ENCODING_SPARSE) return absl::OkStatus();
  if (choice.mode == "sync") {
    return absl::InvalidArgumentError(
        "--encoding topk keeps parts of gradients at the worker that computed them, so that the model depends on who "
        "computes what, "
        "and sync mode promises that it does not; take --mode async or bounded, or another encoding");
  }
  spec->set_topk_ratio(choice.topk_ratio.value_or(kDefaultTopkRatio));
  return absl::OkStatus();
}

// Sets how late gradients are treated, and checks that it goes together with the mode and push_every.
absl::Status ApplyLateGradients(const ModeChoice& choice, v1::JobSpec* spec) {
  spec->set_staleness_scaling(StalenessScalingOf(choice.staleness_scaling));
  spec->set_delay_compensation(choice.delay_compensation.value_or(0));
  const bool in_order =
      spec->mode() == v1::CONSISTENCY_SYNC || (spec->mode() == v1::CONSISTENCY_BOUNDED && spec->delay() == 0);
  SAMOVAR_RETURN_IF_ERROR(CheckLateGradients(spec->staleness_scaling(), spec->delay_compensation(), in_order));
  return CheckPushUnits(*spec);
}

}  // namespace

absl::Status ApplyMode(const ModeChoice& choice, const std::string& solver_path, v1::JobSpec* spec,
                       const NetOrigin* train_origin) {
  spec->set_on_numeric_failure(choice.on_numeric_failure == "skip" ? v1::NUMERIC_FAILURE_SKIP
                                                                   : v1::NUMERIC_FAILURE_FAIL);
  spec->set_push_every(choice.push_every.value_or(1));
  SAMOVAR_RETURN_IF_ERROR(ApplyEncoding(choice, spec));
  if (choice.mode == "bounded") {
    spec->set_mode(v1::CONSISTENCY_BOUNDED);
    spec->set_delay(choice.delay.value_or(kDefaultDelay * spec->push_every()));
    return ApplyLateGradients(choice, spec);
  }
  if (choice.mode != "sync") {
    spec->set_mode(v1::CONSISTENCY_ASYNC);
    return ApplyLateGradients(choice, spec);
  }
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t parts, ChooseParts(choice, *spec));
  spec->set_mode(v1::CONSISTENCY_SYNC);
  spec->set_parts(parts);
  SAMOVAR_RETURN_IF_ERROR(ApplyLateGradients(choice, spec));
  return parts == 1 ? absl::OkStatus() : BuildForPart(solver_path, train_origin, spec);
}

ModeChoice ChoiceOf(const v1::JobSpec& spec) {
  ModeChoice choice;
  choice.mode = "async";
  if (spec.mode() == v1::CONSISTENCY_BOUNDED) {
    choice.mode = "bounded";
    choice.delay = spec.delay();
  } else if (spec.mode() == v1::CONSISTENCY_SYNC) {
    choice.mode = "sync";
    choice.parts = spec.parts();
  }
  if (spec.encoding() == v1::ENCODING_SPARSE) choice.topk_ratio = spec.topk_ratio();
  choice.encoding = EncodingName(spec.encoding());
  choice.staleness_scaling = StalenessScalingName(spec.staleness_scaling());
  choice.delay_compensation = spec.delay_compensation();
  choice.push_every = std::max(1u, spec.push_every());
  choice.on_numeric_failure = spec.on_numeric_failure() == v1::NUMERIC_FAILURE_SKIP ? "skip" : "fail";
  return choice;
}

ModeChoice Resumed(const ModeChoice& asked, const ModeChoice& before) {
  ModeChoice mode = asked;
  if (asked.mode.empty() || asked.mode == before.mode) {
    mode.mode = before.mode;
    if (!asked.delay.has_value()) mode.delay = before.delay;
    if (!asked.parts.has_value()) mode.parts = before.parts;
  }
  if (asked.encoding.empty() || asked.encoding == before.encoding) {
    mode.encoding = before.encoding;
    if (!asked.topk_ratio.has_value()) mode.topk_ratio = before.topk_ratio;
  }
  // Where iterations are applied in order nothing is late.
  if (!(mode.mode == "sync" || (mode.mode == "bounded" && mode.delay == 0u))) {
    if (asked.staleness_scaling.empty()) mode.staleness_scaling = before.staleness_scaling;
    if (!asked.delay_compensation.has_value()) mode.delay_compensation = before.delay_compensation;
  }
  if (!asked.push_every.has_value()) mode.push_every = before.push_every;
  if (asked.on_numeric_failure.empty()) mode.on_numeric_failure = before.on_numeric_failure;
  return mode;
}

}  // namespace samovar
