// Compressed bodies of pages.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace samovar {

// The text as gzip has it, compressed fast rather than well; empty if it cannot be.
std::string Gzip(absl::string_view text);

}  // namespace samovar
