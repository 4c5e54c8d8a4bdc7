// A plan in words, and as JSON.
#pragma once

#include <string>

#include "cli/plan/planner.h"

namespace samovar {

// A few lines for people. Ends with a newline.
std::string DescribePlan(const PlanRequest& request, const Plan& plan);

// One JSON object, without a newline.
std::string PlanJson(const PlanRequest& request, const Plan& plan);

}  // namespace samovar
