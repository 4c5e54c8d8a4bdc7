// A table for a terminal of a given width: columns that do not fit are left out, the least important first.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal/styled.h"

namespace samovar {

struct TableColumn {
  std::string title;
  // Columns of the highest number go first; those of 0 stay.
  int dispensable = 0;
  // Numbers.
  bool right = false;
};

struct TableRow {
  std::vector<std::string> cells;
  Style style = Style::kPlain;
};

struct Table {
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
};

// The part of a table that is shown.
struct TablePart {
  // "workers"
  std::string name;
  // The first row, and how many; a part that would reach beyond the end is moved up.
  int first = 0;
  int rows = 0;
  bool focused = false;
};

// The head, and a line for each row of the part; no line is longer than `width`. The last column takes what is left. If
// not all rows are shown the head says which.
std::vector<StyledLine> ShowTable(const Table& table, const TablePart& part, int width);

}  // namespace samovar
