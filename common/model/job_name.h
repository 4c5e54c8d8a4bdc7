// The names of jobs, which stand in commands, files and directories.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace samovar {

inline constexpr size_t kMaxJobNameLength = 64;

// INVALID_ARGUMENT, with the rule, if it is no name of a job.
absl::Status CheckJobName(const std::string& name);

// The same for a job that is to be made: its name begins neither with "-", as a flag does, nor with ".", as directories
// that lead elsewhere do. Jobs of older versions may have such names.
absl::Status CheckNewJobName(const std::string& name);

}  // namespace samovar
