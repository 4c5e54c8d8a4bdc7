// Lines for a terminal: text in pieces that have styles. Which colours these are, the Screen decides.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

enum class Style {
  kPlain,
  // Less important.
  kDim,
  kBold,
  kGood,
  kWarning,
  kBad,
  // Heads of tables.
  kTitle,
  // The same of the table that takes the keys.
  kFocus,
  kCurve,
};

struct Piece {
  std::string text;
  Style style = Style::kPlain;
};
using StyledLine = std::vector<Piece>;

// Columns that a text takes: some characters take two, or none. Bytes that are not UTF-8 count one each.
int TextColumns(absl::string_view text);

// The text cut to so many columns; where something was cut, "~" is its last character.
std::string CutText(absl::string_view text, int columns);
// The same, filled with blanks up to the width, behind the text or before it.
std::string PadText(absl::string_view text, int columns, bool right = false);

// The line cut to so many columns.
StyledLine CutLine(StyledLine line, int columns);
// Its text alone.
std::string TextOf(const StyledLine& line);

// For terminals without UTF-8: each character beyond ASCII becomes '?'.
std::string AsciiText(absl::string_view text);

}  // namespace samovar
