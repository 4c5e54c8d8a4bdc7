// The name that somebody who mistyped probably meant.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

// The candidate with the fewest letters to insert, drop, replace or swap; empty if none is near (a third of the letters at
// most). Of equally near ones, the first.
std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates);

}  // namespace samovar
