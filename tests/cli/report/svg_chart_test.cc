#include "cli/report/svg_chart.h"

#include <limits>

#include "absl/strings/match.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_CASE("ticks are at round numbers, about as many as are wanted") {
  CHECK(Ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(Ticks(0, 9999, 8) == std::vector<double>{0, 2000, 4000, 6000, 8000});
  CHECK(Ticks(-1, 1, 4) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(Ticks(3, 3, 4) == std::vector<double>{3});
  CHECK(Ticks(0, kInfinity, 4) == std::vector<double>{0});
  for (const double high : {1e-9, 0.7, 123.0, 1e30}) {
    const size_t ticks = Ticks(0, high, 8).size();
    CHECK(ticks >= 4);
    CHECK(ticks <= 10);
  }
}

TEST_CASE("a chart has its lines, legends and titles, and no panel without points") {
  const std::string svg = SvgChart("a <b> & c", "iteration",
                                   {{"loss", false, {{"lenet \"x\"", 0, 0, false, {{0, 2}, {50, 1}, {100, 0.5}}}}},
                                    {"tests", false, {{"empty", 0, 0, true, {}}}},
                                    {"rate", false, {{"lenet rate", 1, 1, true, {{0, 0.1}, {100, 0.1}}}}}});
  CHECK(absl::StartsWith(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(absl::EndsWith(svg, "</svg>\n"));
  CHECK(absl::StrContains(svg, ">a &lt;b&gt; &amp; c</text>"));
  CHECK(absl::StrContains(svg, ">lenet &quot;x&quot;</text>"));
  CHECK(absl::StrContains(svg, ">iteration</text>"));
  CHECK_FALSE(absl::StrContains(svg, ">tests</text>"));
  CHECK(Count(svg, "<path ") == 2);
  CHECK(Count(svg, "<circle ") == 2);
  CHECK(Count(svg, "stroke-dasharray") == 2);
  CHECK_FALSE(absl::StrContains(svg, "nan"));
  CHECK_FALSE(absl::StrContains(svg, "inf"));
}

TEST_CASE("numbers that cannot be drawn interrupt a line, and nothing else") {
  const std::vector<std::pair<double, double>> points = {{0, 1},  {1, 0},          {2, kInfinity},
                                                         {3, 10}, {4, -kInfinity}, {5, 1000}};
  for (const bool logarithmic : {false, true}) {
    const std::string svg = SvgChart("t", "x", {{"p", logarithmic, {{"l", 0, 0, false, points}}}});
    CHECK(Count(svg, "<path ") == 1);
    // The beginnings of its parts.
    CHECK(Count(svg.substr(svg.find("<path "), svg.find("fill=\"none\"", svg.find("<path ")) - svg.find("<path ")),
                "M") == 3);
    CHECK_FALSE(absl::StrContains(svg, "nan"));
    CHECK_FALSE(absl::StrContains(svg, "inf"));
    if (logarithmic) CHECK(absl::StrContains(svg, ">100</text>"));
  }
  CHECK(Count(SvgChart("t", "x", {}), "<path ") == 0);
  CHECK(Count(SvgChart("t", "x", {{"p", false, {{"l", 0, 0, false, {{7, kInfinity}}}}}}), "<path ") == 0);
  CHECK(Count(SvgChart("t", "x", {{"p", false, {{"l", 0, 0, false, {{7, 3}}}}}}), "<path ") == 1);
}

}  // namespace
}  // namespace samovar
