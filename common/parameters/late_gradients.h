// How a job treats gradients that come late: v1::StalenessScaling, and the lambda of delay compensation.
//
// Thread safety: stateless.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// INVALID_ARGUMENT names the field that is wrong; or something is asked for though iterations are applied `in_order`,
// where no gradient is late.
absl::Status CheckLateGradients(v1::StalenessScaling scaling, float delay_compensation, bool in_order);

// "tempered", "none", "inverse": what users call them.
std::vector<std::string> StalenessScalingNames();
// "unknown" for one that this version does not know.
std::string StalenessScalingName(v1::StalenessScaling scaling);
// STALENESS_SCALING_TEMPERED for a name that is none.
v1::StalenessScaling StalenessScalingOf(absl::string_view name);

}  // namespace samovar
