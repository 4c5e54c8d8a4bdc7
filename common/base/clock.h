// Time for leases and timeouts: never set back or forth, unlike the wall clock.
#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace samovar {

// Comparable only with other values from this process.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace samovar
