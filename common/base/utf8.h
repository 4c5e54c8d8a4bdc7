// Text in UTF-8, the one encoding in which names and paths travel between the programs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace samovar {

// Bytes of the character that the text begins with, and, with `code`, which one it is; 0 if these are no UTF-8.
// REQUIRES: the text is not empty.
size_t Utf8CharacterBytes(absl::string_view text, uint32_t* code = nullptr);

bool IsUtf8(absl::string_view text);

}  // namespace samovar
