#include "cli/terminal/table.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

constexpr int kGap = 2;
// The last column is not made narrower than this for others.
constexpr int kLeastLast = 26;

// Its head is the table's name alone, which may be wider than the first column.
bool IsUntitled(const Table& table) {
  return std::all_of(table.columns.begin() + 1, table.columns.end(),
                     [](const TableColumn& column) { return column.title.empty(); });
}

std::vector<int> WidthsOf(const Table& table, const std::string& first_title) {
  std::vector<int> widths;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    int width = TextColumns(i == 0 ? first_title : table.columns[i].title);
    if (i == 0 && IsUntitled(table)) width = 0;
    // All rows count, not those that are shown: columns stay where they are while a user scrolls.
    for (const TableRow& row : table.rows) width = std::max(width, TextColumns(row.cells[i]));
    widths.push_back(width);
  }
  return widths;
}

// The indices of the columns that are shown.
std::vector<size_t> Fitting(const Table& table, const std::vector<int>& widths, int width) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < widths.size(); ++i) shown.push_back(i);
  const auto needed = [&] {
    int sum = 0;
    for (const size_t i : shown) sum += i + 1 == widths.size() ? std::min(widths[i], kLeastLast) : widths[i] + kGap;
    return sum;
  };
  while (needed() > width && shown.size() > 1) {
    const auto worst = std::max_element(shown.begin(), shown.end(), [&](size_t a, size_t b) {
      return table.columns[a].dispensable < table.columns[b].dispensable;
    });
    if (table.columns[*worst].dispensable == 0) break;
    shown.erase(worst);
  }
  return shown;
}

}  // namespace

std::vector<StyledLine> ShowTable(const Table& table, const TablePart& part, int width) {
  const int rows = static_cast<int>(table.rows.size());
  const int count = std::clamp(part.rows, 0, rows);
  const int first = std::clamp(part.first, 0, rows - count);
  const std::string range = count < rows ? absl::StrCat(" ", first + 1, "-", first + count, " of ", rows) : "";
  const std::string title = absl::StrCat(part.name, range);
  const std::vector<int> widths = WidthsOf(table, title);
  const std::vector<size_t> shown = Fitting(table, widths, width);
  const auto line = [&](const auto& cell, Style style) {
    std::string text;
    for (const size_t i : shown) {
      const bool last = i == shown.back();
      absl::StrAppend(&text,
                      last && !table.columns[i].right ? cell(i) : PadText(cell(i), widths[i], table.columns[i].right),
                      last ? "" : std::string(kGap, ' '));
    }
    return StyledLine{{CutText(text, width), style}};
  };
  std::vector<StyledLine> lines;
  const Style head = part.focused ? Style::kFocus : Style::kTitle;
  if (IsUntitled(table)) {
    lines.push_back({{CutText(title, width), head}});
  } else {
    lines.push_back(line([&](size_t i) { return i == 0 ? title : table.columns[i].title; }, head));
  }
  for (int row = first; row < first + count; ++row) {
    const TableRow& shown_row = table.rows[static_cast<size_t>(row)];
    lines.push_back(line([&](size_t i) { return shown_row.cells[i]; }, shown_row.style));
  }
  return lines;
}

}  // namespace samovar
