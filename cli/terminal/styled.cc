#include "cli/terminal/styled.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace samovar {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Marks that are put over the character before, and characters without a width.
constexpr Range kNoColumn[] = {{0x300, 0x36F},   {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x2064},
                               {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}};
// Characters of East Asian scripts, and pictures.
constexpr Range kTwoColumns[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},  {0x3400, 0x4DBF},
                                 {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},
                                 {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                                 {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

bool IsIn(uint32_t character, const Range* begin, const Range* end) {
  return std::any_of(begin, end,
                     [&](const Range& range) { return character >= range.first && character <= range.last; });
}

struct Character {
  // In bytes.
  size_t length = 1;
  int columns = 1;
};

// The character at the beginning of a text that is not empty.
Character FirstOf(absl::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 1 || length > text.size()) return {};
  uint32_t character = lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {};
    character = character << 6 | (byte & 0x3Fu);
  }
  if (IsIn(character, std::begin(kNoColumn), std::end(kNoColumn))) return {length, 0};
  return {length, IsIn(character, std::begin(kTwoColumns), std::end(kTwoColumns)) ? 2 : 1};
}

}  // namespace

int TextColumns(absl::string_view text) {
  int columns = 0;
  while (!text.empty()) {
    const Character first = FirstOf(text);
    columns += first.columns;
    text.remove_prefix(first.length);
  }
  return columns;
}

std::string CutText(absl::string_view text, int columns) {
  if (columns <= 0) return "";
  if (TextColumns(text) <= columns) return std::string(text);
  std::string cut;
  int used = 0;
  while (!text.empty()) {
    const Character first = FirstOf(text);
    if (used + first.columns > columns - 1) break;
    used += first.columns;
    cut.append(text.data(), first.length);
    text.remove_prefix(first.length);
  }
  return cut + "~";
}

std::string PadText(absl::string_view text, int columns, bool right) {
  std::string cut = CutText(text, columns);
  const std::string blanks(static_cast<size_t>(std::max(0, columns - TextColumns(cut))), ' ');
  return right ? blanks + cut : cut + blanks;
}

StyledLine CutLine(StyledLine line, int columns) {
  int used = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const int width = TextColumns(line[i].text);
    if (used + width > columns) {
      line[i].text = CutText(line[i].text, columns - used);
      line.resize(i + 1);
      break;
    }
    used += width;
  }
  return line;
}

std::string TextOf(const StyledLine& line) {
  std::string text;
  for (const Piece& piece : line) text += piece.text;
  return text;
}

std::string AsciiText(absl::string_view text) {
  std::string ascii;
  while (!text.empty()) {
    const Character first = FirstOf(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) {
      ascii += static_cast<char>(lead);
    } else {
      ascii += std::string(static_cast<size_t>(first.columns), '?');
    }
    text.remove_prefix(first.length);
  }
  return ascii;
}

}  // namespace samovar
