// Epochs number the starts of a cluster's coordinator, openings the times that it opened a job at servers. Both come
// from outside, and a server keeps the highest: one that is out of range would shut every later coordinator out.
#pragma once

#include <cstdint>

namespace samovar {

// An opening's own number stands in so many bits; the epoch of its coordinator above them.
inline constexpr int kOpeningBits = 32;
inline constexpr uint64_t kMaxEpoch = (uint64_t{1} << 31) - 1;
// A coordinator was not started more often than this between two calls at a server.
inline constexpr uint64_t kMaxEpochStep = uint64_t{1} << 20;

}  // namespace samovar
