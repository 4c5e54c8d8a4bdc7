// The end of exceptions: an exception of a library becomes a status where a call, or a task of a thread, begins.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace samovar {

// Calls `body` and returns its result. If it throws: RESOURCE_EXHAUSTED for want of memory, INTERNAL with the
// exception's text otherwise.
absl::Status CatchExceptions(absl::FunctionRef<absl::Status()> body);

}  // namespace samovar
