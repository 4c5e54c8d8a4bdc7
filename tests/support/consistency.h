// Consistencies for tests.
#pragma once

#include <cstdint>

#include "samovar/v1/consistency.pb.h"

namespace samovar {

// The mode sync in so many parts; with 0 the mode async.
inline v1::Consistency SyncIn(uint32_t parts) {
  v1::Consistency consistency;
  consistency.set_mode(parts > 0 ? v1::CONSISTENCY_SYNC : v1::CONSISTENCY_ASYNC);
  consistency.set_parts(parts);
  return consistency;
}

}  // namespace samovar
