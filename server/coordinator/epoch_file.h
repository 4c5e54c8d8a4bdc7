// The epoch of a coordinator: a number that grows with each of its starts, kept in a small file.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/home/cluster_home.h"

namespace samovar {

// Raises the number in `directory`/epoch by one (a missing file counts as 0) and returns it once it is durable. Makes
// the directory. DATA_LOSS: the file is damaged; the message says what to do.
// With a home, the epoch is one that the home has let nobody else claim, and the file follows it.
absl::StatusOr<uint64_t> NextEpoch(const std::string& directory, const ClusterHome* home = nullptr);

}  // namespace samovar
