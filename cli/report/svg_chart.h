// Draws lines over a common axis, in panels one below the other, as an SVG: a text that browsers show, and that needs
// no library.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace samovar {

struct ChartLine {
  std::string label;
  // Lines of one number have one colour.
  size_t color = 0;
  // Tells lines of one colour apart: 0 is drawn through.
  size_t dash = 0;
  // Its points are marked, since they are few.
  bool marked = false;
  // Ascending in x. A y that is not finite, or not above 0 on a logarithmic scale, interrupts the line.
  std::vector<std::pair<double, double>> points;
};

struct ChartPanel {
  std::string title;
  bool logarithmic = false;
  std::vector<ChartLine> lines;
};

// Where the axis from `low` to `high` has its ticks: at round numbers, about as many as `wanted`.
std::vector<double> Ticks(double low, double high, int wanted);

// Panels without points are left out.
std::string SvgChart(const std::string& title, const std::string& x_title, const std::vector<ChartPanel>& panels);

}  // namespace samovar
