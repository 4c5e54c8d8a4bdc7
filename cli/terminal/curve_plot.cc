#include "cli/terminal/curve_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace samovar {
namespace {

// Columns for the values at the left.
constexpr int kScaleColumns = 10;
// One of so many values may be above the upper edge.
constexpr size_t kAboveEdge = 50;

// UTF-8 of a character of the Braille block, or of the blocks of eighths.
std::string Utf8(uint32_t character) {
  return {static_cast<char>(0xE0 | character >> 12), static_cast<char>(0x80 | (character >> 6 & 0x3F)),
          static_cast<char>(0x80 | (character & 0x3F))};
}

// A raster of dots, some of which are of the mean.
class Raster {
 public:
  Raster(int columns, int rows, bool utf8)
      : utf8_(utf8),
        across_(utf8 ? 2 : 1),
        down_(utf8 ? 4 : 1),
        columns_(columns),
        rows_(rows),
        cells_(static_cast<size_t>(columns) * static_cast<size_t>(rows)) {}

  int width() const { return columns_ * across_; }
  int height() const { return rows_ * down_; }

  void Set(int x, int y, bool of_mean) {
    Cell& cell =
        cells_[static_cast<size_t>(y / down_) * static_cast<size_t>(columns_) + static_cast<size_t>(x / across_)];
    // The bits of Unicode: the lowest row of dots was added later.
    constexpr uint8_t kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    cell.dots = static_cast<uint8_t>(cell.dots | kBits[y % down_][x % across_]);
    cell.of_mean |= of_mean;
  }

  StyledLine Row(int row) const {
    StyledLine line;
    for (int column = 0; column < columns_; ++column) {
      const Cell& cell = cells_[static_cast<size_t>(row) * static_cast<size_t>(columns_) + static_cast<size_t>(column)];
      const Style style = cell.of_mean ? Style::kCurve : Style::kDim;
      const std::string text = cell.dots == 0 ? " " : utf8_ ? Utf8(0x2800u + cell.dots) : cell.of_mean ? "*" : ".";
      if (!line.empty() && line.back().style == style) {
        line.back().text += text;
      } else {
        line.push_back({text, style});
      }
    }
    return line;
  }

 private:
  struct Cell {
    uint8_t dots = 0;
    bool of_mean = false;
  };

  const bool utf8_;
  // Dots of a cell.
  const int across_;
  const int down_;
  const int columns_;
  const int rows_;
  std::vector<Cell> cells_;
};

// The lowest value, and the one that only few exceed.
std::pair<double, double> EdgesOf(const std::vector<CurvePoint>& points) {
  std::vector<double> values;
  for (const CurvePoint& point : points) values.push_back(point.y);
  const size_t above = values.size() / kAboveEdge;
  const auto high = values.end() - 1 - static_cast<std::ptrdiff_t>(above);
  std::nth_element(values.begin(), high, values.end());
  const double top = *high;
  return {*std::min_element(values.begin(), values.end()), top};
}

}  // namespace

std::vector<StyledLine> PlotCurve(const std::vector<CurvePoint>& all, const PlotFrame& frame) {
  std::vector<StyledLine> lines(static_cast<size_t>(std::max(0, frame.rows)));
  std::vector<CurvePoint> points;
  for (const CurvePoint& point : all) {
    if (std::isfinite(point.y) && point.x >= frame.first_x && point.x <= frame.last_x) points.push_back(point);
  }
  const int columns = frame.columns - kScaleColumns;
  if (points.empty() || columns < 2 || frame.rows < 1) return lines;
  auto [low, high] = EdgesOf(points);
  if (high <= low) high = low + std::max(std::abs(low) * 1e-3, 1e-6);
  Raster raster(columns, frame.rows, frame.utf8);
  const double span = std::max(frame.last_x - frame.first_x, 1e-9);
  const auto row_of = [&](double y) {
    const double part = std::clamp((high - y) / (high - low), 0.0, 1.0);
    return static_cast<int>(std::lround(part * (raster.height() - 1)));
  };
  // The mean of each column of dots.
  std::vector<std::pair<double, int>> sums(static_cast<size_t>(raster.width()));
  for (const CurvePoint& point : points) {
    const int x = static_cast<int>(std::lround((point.x - frame.first_x) / span * (raster.width() - 1)));
    raster.Set(x, row_of(point.y), /*of_mean=*/false);
    sums[static_cast<size_t>(x)].first += std::min(point.y, high);
    ++sums[static_cast<size_t>(x)].second;
  }
  for (int x = 0; x < raster.width(); ++x) {
    const auto& [sum, count] = sums[static_cast<size_t>(x)];
    if (count > 0) raster.Set(x, row_of(sum / count), /*of_mean=*/true);
  }
  for (int row = 0; row < frame.rows; ++row) {
    StyledLine& line = lines[static_cast<size_t>(row)];
    const bool first = row == 0;
    const bool last = row == frame.rows - 1;
    const std::string value = first ? absl::StrFormat("%.3g", high) : last ? absl::StrFormat("%.3g", low) : "";
    const std::string rule = frame.utf8 ? (first || last ? "\u2524" : "\u2502") : "|";
    line.push_back({absl::StrCat(PadText(value, kScaleColumns - 2, /*right=*/true), " ", rule), Style::kDim});
    for (Piece& piece : raster.Row(row)) line.push_back(std::move(piece));
  }
  return lines;
}

std::string ProgressBar(double part, int columns, bool utf8) {
  if (columns <= 0) return "";
  const double filled = std::clamp(std::isnan(part) ? 0 : part, 0.0, 1.0) * columns;
  const int whole = static_cast<int>(filled);
  if (!utf8) {
    return std::string(static_cast<size_t>(whole), '#') + std::string(static_cast<size_t>(columns - whole), '.');
  }
  std::string bar;
  for (int i = 0; i < whole; ++i) bar += "\u2588";
  int left = columns - whole;
  const int eighths = static_cast<int>((filled - whole) * 8);
  if (left > 0 && eighths > 0) {
    // From one eighth at 0x258F to seven at 0x2589.
    bar += Utf8(0x2590u - static_cast<uint32_t>(eighths));
    --left;
  }
  for (int i = 0; i < left; ++i) bar += "\u2591";
  return bar;
}

}  // namespace samovar
