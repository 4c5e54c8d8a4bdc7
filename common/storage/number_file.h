// A number in a file of its own that outlives crashes: a line that people can read and correct.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace samovar {

// Nothing: there is no such file. DATA_LOSS: it holds something else; the message is "PATH does not hold a number", for
// the caller to go on with what to do. Otherwise the system's error, and the file is not to be replaced then.
absl::StatusOr<std::optional<uint64_t>> ReadNumberFile(const std::string& path);

// Writes the file anew; durable when it returns. Errors of WriteFileAtomically.
absl::Status WriteNumberFile(const std::string& path, uint64_t number);

}  // namespace samovar
