// Makes text of a peer, a file or a user fit to be shown: no character of it ends a line or moves a cursor, and it does
// not fill a log.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace samovar {

// A text that a peer gives as a reason, or as a name.
inline constexpr size_t kMaxPeerTextBytes = 4096;
inline constexpr size_t kMaxPeerNameBytes = 256;

// The text with control characters, and bytes that are no UTF-8, written as \n, \t, \r or \xNN, so that it is one line
// of UTF-8. If it is longer than `max_bytes` only its beginning is there, and how many bytes follow. Text that is
// harmless stays as it is.
std::string Printable(absl::string_view text, size_t max_bytes = kMaxPeerTextBytes);
// The same, with its lines.
std::string PrintableLines(absl::string_view text, size_t max_bytes);

}  // namespace samovar
