// Units of iterations: what a worker of a job with push_every above 1 computes for one push. With push_every k they are
// [0, k), [k, 2k), ...; the last one ends at max_iter.
//
// Thread safety: stateless.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "caffe.pb.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

// A worker that dies loses a unit, and nobody sees an iteration before its unit is done.
inline constexpr uint32_t kMaxPushEvery = 1000;

// The end of the unit that iteration t lies in. REQUIRES: push_every >= 1
inline uint64_t UnitEnd(uint64_t t, uint32_t push_every, uint64_t max_iter) {
  return std::min(max_iter, (t / push_every + 1) * push_every);
}

// Whether a unit begins at t, or the training has ended there.
inline bool BetweenUnits(uint64_t t, uint32_t push_every, uint64_t max_iter) {
  return t % push_every == 0 || t == max_iter;
}

// Whether a server can apply such units. INVALID_ARGUMENT says what push_every does not go together with, and what
// does. `in_order`: iterations are applied one after the other.
absl::Status CheckPushUnits(uint32_t push_every, const caffe::SolverParameter& solver, bool in_order,
                            float delay_compensation);

// The same of a whole job: the delay, snapshots and tests as well.
absl::Status CheckPushUnits(const v1::JobSpec& spec);

}  // namespace samovar
