// LMDB's and the system's error codes as absl::Status, in words that tell the user what to do.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

// `code` is the result of an LMDB function; 0 is OK. `doing` completes "PATH: ... failed" (for example "reading").
absl::Status LmdbStatus(int code, const std::string& path, absl::string_view doing);

}  // namespace samovar
