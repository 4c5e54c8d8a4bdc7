// The layers of a net in a few groups, as their gradients become ready: what is computed, and what can leave then.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/plan/job_shape.h"

namespace samovar {

struct BackwardGroup {
  PassSeconds seconds;
  // In the chunks that are complete when it is done, and were not before.
  double floats = 0;
};

// The first group is computed first: that of the last layers. A chunk leaves when all of its layers are done.
std::vector<BackwardGroup> BackwardGroups(const JobShape& job, uint32_t chunk_elements);

}  // namespace samovar
