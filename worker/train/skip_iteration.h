// Enters an iteration in the ledgers of a job's chunks without an update: see ParameterService.Skip.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/parameters/wait_limit.h"
#include "common/rpc/dialer.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// The job's chunks that hold the iteration without an update, and those that have an update of it already, which they
// keep.
struct SkippedChunks {
  uint32_t skipped = 0;
  uint32_t updated = 0;
};

// At each of the servers, which may hold it already. Repeats calls that fail for a passing reason. DEADLINE_EXCEEDED,
// CANCELLED: the limit; or the first server's error, with its address.
absl::StatusOr<SkippedChunks> SkipIteration(std::span<const std::string> servers, const Dialer& dialer,
                                            const v1::SkipRequest& request, const WaitLimit& limit);

}  // namespace samovar
