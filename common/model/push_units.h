// Units of iterations: a worker of a job with push_every above 1 computes one unit for each push. With push_every k
// they are [0, k), [k, 2k), ...; the last one ends at max_iter.
//
// Thread safety: stateless.
#pragma once

#include <algorithm>
#include <cstdint>

namespace samovar {

// The end of the unit that iteration t lies in. REQUIRES: push_every >= 1
inline uint64_t UnitEnd(uint64_t t, uint32_t push_every, uint64_t max_iter) {
  return std::min(max_iter, (t / push_every + 1) * push_every);
}

// Whether a unit begins at t, or the training has ended there.
inline bool BetweenUnits(uint64_t t, uint32_t push_every, uint64_t max_iter) {
  return t % push_every == 0 || t == max_iter;
}

}  // namespace samovar
