// Pieces of a large file, worked on beside each other.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace samovar {

// Calls `work` for 0 ... count-1, each once, on up to `threads` threads, the caller's among them. Returns the first
// failure; no further call is begun after it. An exception is a failure.
absl::Status ForEachPiece(uint64_t count, int threads, absl::FunctionRef<absl::Status(uint64_t)> work);

}  // namespace samovar
