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
#include "common/model/consistency.h"

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
absl::Status BuildForPart(const std::string& solver_path, const NetOrigin* train_origin, const StorageTable& storage,
                          v1::JobSpec* spec) {
  NetToCheck net = {spec->train_net(), caffe::TRAIN, static_cast<uint32_t>(spec->solver().iter_size()), solver_path};
  net.built_batch = static_cast<int>(spec->train_data().batch_size() / spec->consistency().parts());
  net.of_parts = spec->consistency().parts();
  NetOrigin origin;
  if (train_origin != nullptr) origin = *train_origin;
  origin.name = absl::StrCat("TRAIN net for ", net.built_batch, " records, one of ", spec->consistency().parts(),
                             " parts of the batch");
  net.origin = &origin;
  net.storage = storage;
  SAMOVAR_ASSIGN_OR_RETURN(CheckedNet part, CheckNet(net));
  *spec->mutable_train_outputs() = std::move(part.outputs);
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyMode(const ModeChoice& choice, const std::string& solver_path, v1::JobSpec* spec,
                       const NetOrigin* train_origin, const StorageTable& storage) {
  v1::Consistency chosen;
  chosen.set_mode(ModeOf(choice.mode));
  chosen.set_encoding(EncodingOf(choice.encoding));
  if (chosen.encoding() == v1::ENCODING_SPARSE) chosen.set_topk_ratio(choice.topk_ratio.value_or(kDefaultTopkRatio));
  chosen.set_staleness_scaling(StalenessScalingOf(choice.staleness_scaling));
  chosen.set_delay_compensation(choice.delay_compensation.value_or(0));
  chosen.set_push_every(choice.push_every.value_or(1));
  chosen.set_on_numeric_failure(NumericFailureOf(choice.on_numeric_failure));
  if (chosen.mode() == v1::CONSISTENCY_BOUNDED)
    chosen.set_delay(choice.delay.value_or(kDefaultDelay * chosen.push_every()));
  if (chosen.mode() == v1::CONSISTENCY_SYNC) {
    SAMOVAR_ASSIGN_OR_RETURN(const uint32_t parts, ChooseParts(choice, *spec));
    chosen.set_parts(parts);
    chosen.set_part_sum_order(choice.part_sum_order);
  }
  *spec->mutable_consistency() = chosen;
  SAMOVAR_RETURN_IF_ERROR(CheckConsistency(*spec));
  return chosen.parts() > 1 ? BuildForPart(solver_path, train_origin, storage, spec) : absl::OkStatus();
}

ModeChoice Resumed(const ModeChoice& asked, const v1::Consistency& before) {
  ModeChoice mode = asked;
  if (asked.mode.empty() || ModeOf(asked.mode) == before.mode()) {
    mode.mode = ModeName(before.mode());
    if (!asked.delay.has_value() && before.mode() == v1::CONSISTENCY_BOUNDED) mode.delay = before.delay();
    if (!asked.parts.has_value() && before.mode() == v1::CONSISTENCY_SYNC) mode.parts = before.parts();
    if (before.mode() == v1::CONSISTENCY_SYNC) mode.part_sum_order = before.part_sum_order();
  }
  if (asked.encoding.empty() || EncodingOf(asked.encoding) == before.encoding()) {
    mode.encoding = EncodingName(before.encoding());
    const bool sparse = before.encoding() == v1::ENCODING_SPARSE;
    if (!asked.topk_ratio.has_value() && sparse) mode.topk_ratio = before.topk_ratio();
  }
  // Where iterations are applied in order nothing is late.
  if (!(mode.mode == "sync" || (mode.mode == "bounded" && mode.delay == 0u))) {
    if (asked.staleness_scaling.empty()) mode.staleness_scaling = StalenessScalingName(before.staleness_scaling());
    if (!asked.delay_compensation.has_value()) mode.delay_compensation = before.delay_compensation();
  }
  if (!asked.push_every.has_value()) mode.push_every = PushEvery(before);
  if (asked.on_numeric_failure.empty()) mode.on_numeric_failure = NumericFailureName(before.on_numeric_failure());
  return mode;
}

}  // namespace samovar
