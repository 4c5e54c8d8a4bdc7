// Whole files as strings.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

// The status for an errno, "cannot <doing> <path>: <what the system says>".
absl::Status ErrnoStatus(int error, absl::string_view doing, const std::string& path);

// INVALID_ARGUMENT: not a regular file (a directory or a pipe), or larger than `max_bytes`; otherwise what the system says.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

}  // namespace samovar
