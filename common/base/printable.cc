#include "common/base/printable.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/utf8.h"

namespace samovar {
namespace {

// Bytes of the character that the text begins with; 0 if these are no UTF-8. C1 control characters, which terminals
// obey, count as none.
size_t CharacterBytes(absl::string_view text) {
  uint32_t code = 0;
  const size_t bytes = Utf8CharacterBytes(text, &code);
  return code >= 0x80 && code < 0xa0 ? 0 : bytes;
}

std::string Escaped(unsigned char byte) {
  switch (byte) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return absl::StrFormat("\\x%02x", byte);
  }
}

std::string Show(absl::string_view text, size_t max_bytes, bool keep_lines) {
  std::string shown;
  size_t next = 0;
  while (next < text.size()) {
    const size_t bytes = CharacterBytes(text.substr(next));
    const auto first = static_cast<unsigned char>(text[next]);
    const bool harmless =
        bytes > 1 || (bytes == 1 && first >= 0x20 && first != 0x7f) || (keep_lines && (first == '\n' || first == '\t'));
    const std::string character = harmless ? std::string(text.substr(next, bytes)) : Escaped(first);
    if (shown.size() + character.size() > max_bytes)
      return absl::StrCat(shown, "... (", text.size() - next, " bytes more)");
    shown += character;
    next += std::max<size_t>(1, bytes);
  }
  return shown;
}

}  // namespace

std::string Printable(absl::string_view text, size_t max_bytes) { return Show(text, max_bytes, false); }

std::string PrintableLines(absl::string_view text, size_t max_bytes) { return Show(text, max_bytes, true); }

}  // namespace samovar
