// The number that tells a server from all others, for as long as its state directory lives.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

// Reads the identity from a state directory; makes it, at random and durably, the first time. Never 0. DATA_LOSS: the
// file is damaged.
absl::StatusOr<uint64_t> ServerIdentity(const std::string& state_dir);

}  // namespace samovar
