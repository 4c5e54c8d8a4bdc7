#include "common/parameters/late_gradients.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace samovar {

absl::Status CheckLateGradients(v1::StalenessScaling scaling, float delay_compensation, bool in_order) {
  if (!v1::StalenessScaling_IsValid(scaling)) {
    return absl::InvalidArgumentError(
        absl::StrCat("staleness_scaling ", static_cast<int>(scaling), " is none that this version knows"));
  }
  if (!(std::isfinite(delay_compensation) && delay_compensation >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat("delay_compensation must be at least 0, not ", delay_compensation));
  }
  const bool asked = scaling != v1::STALENESS_SCALING_TEMPERED || delay_compensation != 0;
  if (!asked || !in_order) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "staleness_scaling and delay_compensation are for gradients that come late, and in this mode none does: "
      "iterations are applied in "
      "their order, each computed from the weights that it is applied to; leave them out, or take the mode async, or "
      "bounded with a "
      "delay of at least 1");
}

std::vector<std::string> StalenessScalingNames() { return {"tempered", "none", "inverse"}; }

std::string StalenessScalingName(v1::StalenessScaling scaling) {
  const std::vector<std::string> names = StalenessScalingNames();
  const size_t place = static_cast<size_t>(scaling);
  return place < names.size() ? names[place] : "unknown";
}

v1::StalenessScaling StalenessScalingOf(absl::string_view name) {
  const std::vector<std::string> names = StalenessScalingNames();
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<v1::StalenessScaling>(i);
  }
  return v1::STALENESS_SCALING_TEMPERED;
}

}  // namespace samovar
