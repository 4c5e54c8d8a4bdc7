#include "cli/report/curve_events.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"

namespace samovar {
namespace {

using Scalars = std::vector<std::pair<std::string, float>>;

// "test0 accuracy" is "test0/accuracy": TensorBoard makes a group of what stands before the stroke.
std::string TestTag(const std::string& name) {
  const size_t space = name.find(' ');
  return space == std::string::npos ? name : absl::StrCat(name.substr(0, space), "/", name.substr(space + 1));
}

Scalars ScalarsOf(const Curve::Point& point, const std::vector<std::string>& names) {
  Scalars scalars = {{"loss", point.loss}};
  const auto add_known = [&](const char* tag, double value) {
    if (!std::isnan(value)) scalars.emplace_back(tag, static_cast<float>(value));
  };
  add_known("learning_rate", point.learning_rate);
  add_known("images_per_second", point.images_per_second);
  add_known("staleness", point.staleness);
  for (size_t i = 0; i < point.outputs.size(); ++i)
    scalars.emplace_back(absl::StrCat("train/", names[i]), point.outputs[i]);
  return scalars;
}

// When the point was there, as far as that is known.
absl::Time TimeOf(const Curve& curve, double seconds) {
  if (curve.started_unix_ms == 0 || std::isnan(seconds)) return absl::Now();
  return absl::FromUnixMillis(static_cast<int64_t>(curve.started_unix_ms)) + absl::Seconds(seconds);
}

// Seconds of the last point before the test, or of the first one.
double SecondsOfTest(const Curve& curve, uint64_t iteration) {
  const auto after = std::lower_bound(curve.points.begin(), curve.points.end(), iteration,
                                      [](const Curve::Point& point, uint64_t at) { return point.iteration < at; });
  if (after != curve.points.begin()) return std::prev(after)->seconds;
  return iteration == 0 || after == curve.points.end() ? 0 : after->seconds;
}

}  // namespace

std::optional<uint64_t> FirstIteration(const Curve& curve) {
  std::optional<uint64_t> first;
  if (!curve.points.empty()) first = curve.points.front().iteration;
  if (!curve.tests.empty()) first = std::min(first.value_or(UINT64_MAX), curve.tests.front().iteration);
  return first;
}

void CurveEvents::AddTo(const Curve& curve, bool is_whole, EventFile* file) {
  const double newest = curve.points.empty() ? Curve::kUnknown : curve.points.back().seconds;
  for (const Curve::Test& test : curve.tests) {
    Scalars scalars;
    for (size_t i = 0; i < test.outputs.size(); ++i) {
      const std::string& name = curve.test_names[i];
      if (std::isnan(test.outputs[i]) || !tests_.emplace(test.iteration, name).second) continue;
      scalars.emplace_back(TestTag(name), test.outputs[i]);
    }
    if (!scalars.empty()) file->Add(test.iteration, TimeOf(curve, SecondsOfTest(curve, test.iteration)), scalars);
  }
  for (const Curve::Point& point : curve.points) {
    if (last_.has_value() && point.iteration <= *last_) continue;
    if (!is_whole && point.seconds >= newest) break;
    file->Add(point.iteration, TimeOf(curve, point.seconds), ScalarsOf(point, curve.output_names));
    last_ = point.iteration;
  }
}

}  // namespace samovar
