// Runs a small program, and returns what it printed.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace samovar {

// The standard output of the program `arguments[0]`, found by PATH if it has no slash; its standard input is empty, its
// standard error is this process's. Waits for its end. NOT_FOUND: it cannot be started; FAILED_PRECONDITION: it ended
// with another code than 0; DEADLINE_EXCEEDED: it did not end in time, and was killed; RESOURCE_EXHAUSTED: it printed
// more than 1 MiB, likewise. No error has what it printed. REQUIRES: arguments is not empty
absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& arguments, absl::Duration timeout);

}  // namespace samovar
