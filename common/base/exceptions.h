// The end of exceptions: what libraries throw becomes a status where a call, or a task of a thread, begins.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace samovar {

// Calls `body` and returns what it returns. If it throws: RESOURCE_EXHAUSTED for want of memory, INTERNAL with the
// exception's text otherwise.
absl::Status CatchExceptions(absl::FunctionRef<absl::Status()> body);

}  // namespace samovar
