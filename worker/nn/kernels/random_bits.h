// Random numbers for many values at once: Philox (common/base/random.h) with neighbouring counters, vectorised.
#pragma once

#include <cstdint>

namespace samovar {

// Counters that one call takes, four numbers each.
inline constexpr int64_t kRandomCounters = 128;
inline constexpr int64_t kRandomBits = 4 * kRandomCounters;

// bits[4 i + k] = Philox(key, counter_high, counter_low + i)[k] for all i < kRandomCounters. REQUIRES: counter_low is a
// multiple of kRandomCounters
void RandomBits(uint64_t key, uint64_t counter_high, uint64_t counter_low, uint32_t* bits);

}  // namespace samovar
