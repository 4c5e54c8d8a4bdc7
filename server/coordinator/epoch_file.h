// The epoch of a coordinator: a number that grows with each of its starts, kept in a small file.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

// Raises the number in `directory`/epoch by one (a missing file counts as 0) and returns it once it is durable. Makes
// the directory. DATA_LOSS: the file is damaged; the message says what to do.
absl::StatusOr<uint64_t> NextEpoch(const std::string& directory);

}  // namespace samovar
