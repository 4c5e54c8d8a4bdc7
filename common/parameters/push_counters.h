// Adds up and reads the counts that chunks keep of the pushes that they get: v1::PushCounters.
//
// Thread safety: stateless.
#pragma once

#include <cstdint>

#include "samovar/v1/parameter.pb.h"

namespace samovar {

// One applied push more, so many updates late.
void CountApplied(uint64_t staleness, v1::PushCounters* counters);

void AddCounters(const v1::PushCounters& from, v1::PushCounters* sum);

// 0 without pushes.
double MeanStaleness(const v1::PushCounters& counters);
// The smallest staleness that at least so many of 100 pushes do not exceed: exact up to 32, beyond that the upper bound
// of its range, and never more than the maximum. 0 without pushes. REQUIRES: 0 < percent <= 100
uint64_t StalenessPercentile(const v1::PushCounters& counters, int percent);

}  // namespace samovar
