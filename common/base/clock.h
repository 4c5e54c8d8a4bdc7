// Time for leases and timeouts: never set back or forth, unlike the wall clock.
#pragma once

#include <chrono>
#include <cstdint>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace samovar {

// Comparable only with other values from this process.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

// The wall clock, for people: in milliseconds since 1970 (UTC).
inline uint64_t UnixMsNow() { return static_cast<uint64_t>(absl::ToUnixMillis(absl::Now())); }

}  // namespace samovar
