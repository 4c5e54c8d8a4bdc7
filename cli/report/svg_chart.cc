#include "cli/report/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace samovar {
namespace {

// In pixels.
constexpr double kWidth = 1000;
constexpr double kLeft = 90;
constexpr double kRight = 250;
constexpr double kTop = 46;
constexpr double kPanelHeight = 230;
constexpr double kPanelGap = 46;
constexpr double kBottom = 56;
constexpr double kLegendLine = 18;
constexpr int kTicksX = 8;
constexpr int kTicksY = 5;
constexpr size_t kLongestLabel = 30;

// Colours that people with any eyesight tell apart (Okabe and Ito).
constexpr std::array<const char*, 8> kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#e69f00", "#56b4e9", "#000000", "#8a7f00"};
constexpr std::array<const char*, 4> kDashes = {"", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 2\"",
                                                " stroke-dasharray=\"8 2 2 2\""};

std::string Escaped(const std::string& text) {
  std::string clean;
  // XML has no other control characters.
  for (const char c : text) clean.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  return absl::StrReplaceAll(clean, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Shortened(const std::string& text) {
  // Only where a character begins.
  size_t end = std::min(text.size(), kLongestLabel);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end == text.size() ? text : absl::StrCat(text.substr(0, end), "…");
}

std::string Text(double x, double y, const std::string& style, const std::string& text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y, style, Escaped(text));
}

std::string Rule(double x1, double y1, double x2, double y2, const std::string& style) {
  return absl::StrFormat("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style);
}

// The numbers of an axis, and where they lie on the paper.
struct Scale {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool logarithmic = false;
  double at_low = 0;
  double at_high = 0;

  bool Takes(double value) const { return std::isfinite(value) && (!logarithmic || value > 0); }
  double Of(double value) const { return logarithmic ? std::log10(value) : value; }
  void Include(double value) {
    if (!Takes(value)) return;
    low = std::min(low, Of(value));
    high = std::max(high, Of(value));
  }
  bool empty() const { return low > high; }
  // A flat line gets some room.
  void Widen(double share) {
    if (low == high) {
      const double room = low == 0 ? 1 : std::abs(low) / 10;
      low -= room;
      high += room;
    }
    const double room = (high - low) * share;
    low -= room;
    high += room;
  }
  double At(double value) const { return at_low + (Of(value) - low) / (high - low) * (at_high - at_low); }
  std::vector<double> TickValues(int wanted) const {
    if (!logarithmic) return Ticks(low, high, wanted);
    std::vector<double> ticks;
    const double step = std::max(1.0, std::ceil((high - low) / wanted));
    for (double power = std::ceil(low); power <= high; power += step) ticks.push_back(std::pow(10.0, power));
    // Less than two powers of ten say little.
    if (ticks.size() >= 2) return ticks;
    ticks.clear();
    for (const double value : Ticks(std::pow(10.0, low), std::pow(10.0, high), wanted)) {
      if (value > 0) ticks.push_back(value);
    }
    return ticks;
  }
};

std::string DrawLine(const ChartLine& line, const Scale& x, const Scale& y) {
  std::string path;
  std::string marks;
  const char* const color = kColors[line.color % kColors.size()];
  bool begun = false;
  for (const auto& [px, py] : line.points) {
    if (!x.Takes(px) || !y.Takes(py)) {
      begun = false;
      continue;
    }
    absl::StrAppendFormat(&path, "%s%.1f %.1f", begun ? "L" : "M", x.At(px), y.At(py));
    if (line.marked) {
      absl::StrAppendFormat(&marks, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", x.At(px), y.At(py),
                            color);
    }
    begun = true;
  }
  if (path.empty()) return "";
  return absl::StrFormat("<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.2\"%s/>\n%s", path, color,
                         kDashes[line.dash % kDashes.size()], marks);
}

std::string DrawPanel(const ChartPanel& panel, const Scale& x, double top) {
  Scale y;
  y.logarithmic = panel.logarithmic;
  for (const ChartLine& line : panel.lines) {
    for (const auto& [px, py] : line.points) y.Include(py);
  }
  y.Widen(0.04);
  y.at_low = top + kPanelHeight;
  y.at_high = top;
  std::string svg = Text(kLeft, top - 8, "font-weight=\"bold\"", panel.title);
  for (const double tick : y.TickValues(kTicksY)) {
    if (y.Of(tick) < y.low || y.Of(tick) > y.high) continue;
    absl::StrAppend(&svg, Rule(kLeft, y.At(tick), kWidth - kRight, y.At(tick), "stroke=\"#dddddd\""),
                    Text(kLeft - 6, y.At(tick) + 4, "text-anchor=\"end\"", absl::StrFormat("%g", tick)));
  }
  for (const double tick : x.TickValues(kTicksX)) {
    absl::StrAppend(
        &svg, Rule(x.At(tick), top, x.At(tick), top + kPanelHeight, "stroke=\"#eeeeee\""),
        Text(x.At(tick), top + kPanelHeight + 16, "text-anchor=\"middle\"", absl::StrFormat("%.10g", tick)));
  }
  absl::StrAppendFormat(
      &svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"#444444\"/>\n", kLeft,
      top, kWidth - kRight - kLeft, kPanelHeight);
  double legend = top + 10;
  for (const ChartLine& line : panel.lines) {
    absl::StrAppend(&svg, DrawLine(line, x, y));
    // Lines whose names do not fit beside the panel have their colours in the others.
    if (legend > top + kPanelHeight) continue;
    absl::StrAppend(&svg,
                    Rule(kWidth - kRight + 12, legend, kWidth - kRight + 36, legend,
                         absl::StrCat("stroke=\"", kColors[line.color % kColors.size()], "\" stroke-width=\"2\"",
                                      kDashes[line.dash % kDashes.size()])),
                    Text(kWidth - kRight + 42, legend + 4, "", Shortened(line.label)));
    legend += kLegendLine;
  }
  return svg;
}

}  // namespace

std::vector<double> Ticks(double low, double high, int wanted) {
  if (!(high > low) || !std::isfinite(high - low)) return {low};
  const double rough = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power * 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  // Products, so that rounding errors do not add up.
  for (double i = std::ceil(low / step); i * step <= high && ticks.size() < 100; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string SvgChart(const std::string& title, const std::string& x_title, const std::vector<ChartPanel>& panels) {
  std::vector<const ChartPanel*> drawn;
  Scale x;
  for (const ChartPanel& panel : panels) {
    Scale y;
    y.logarithmic = panel.logarithmic;
    for (const ChartLine& line : panel.lines) {
      for (const auto& [px, py] : line.points) {
        y.Include(py);
        if (y.Takes(py)) x.Include(px);
      }
    }
    if (!y.empty() && !x.empty()) drawn.push_back(&panel);
  }
  if (!x.empty()) x.Widen(0);
  x.at_low = kLeft;
  x.at_high = kWidth - kRight;
  const double height = kTop + static_cast<double>(drawn.size()) * (kPanelHeight + kPanelGap) - kPanelGap + kBottom;
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kWidth, height, kWidth, height);
  absl::StrAppend(&svg, Text(kLeft, 20, "font-size=\"15\" font-weight=\"bold\"", title));
  double top = kTop;
  for (const ChartPanel* const panel : drawn) {
    absl::StrAppend(&svg, DrawPanel(*panel, x, top));
    top += kPanelHeight + kPanelGap;
  }
  absl::StrAppend(&svg, Text((kLeft + kWidth - kRight) / 2, height - 16, "text-anchor=\"middle\"", x_title));
  return svg + "</svg>\n";
}

}  // namespace samovar
