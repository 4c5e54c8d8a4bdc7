// Files, opened or read whole, with errors that name them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

// The status for an errno: "cannot <doing> <path>: <the system's error>".
absl::Status ErrnoStatus(int error, absl::string_view doing, const std::string& path);

// A file open for reading, which the caller closes. INVALID_ARGUMENT: not a regular file (a directory or a pipe), or
// larger than `max_bytes`; otherwise the system's error.
absl::StatusOr<int> OpenForReading(const std::string& path, uint64_t max_bytes);

// The same file's bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

}  // namespace samovar
