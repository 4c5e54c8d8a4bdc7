// Quantiles of measured values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace samovar {

// The value that `part` of all, from 0 to 1, do not exceed. Reorders them. REQUIRES: there is one
inline double Quantile(std::vector<double>* values, double part) {
  const auto at = values->begin() + static_cast<int64_t>(part * static_cast<double>(values->size() - 1));
  std::nth_element(values->begin(), at, values->end());
  return *at;
}

}  // namespace samovar
