#include "cli/run/earlier_displays.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace samovar {

EarlierDisplays DisplaysOf(const Curve& curve, const v1::JobSpec& spec, uint64_t first, uint64_t end) {
  EarlierDisplays earlier;
  const auto interval = static_cast<uint64_t>(std::max(0, spec.solver().display()));
  if (interval == 0) return earlier;
  earlier.first = (first + interval - 1) / interval * interval;
  if (earlier.first >= end) return earlier;
  earlier.last = (end - 1) / interval * interval;
  earlier.wanted = (earlier.last - earlier.first) / interval + 1;
  earlier.missing = earlier.wanted;
  if (spec.solver().average_loss() > 1) return earlier;
  const auto& outputs = spec.train_outputs().outputs();
  for (const Curve::Point& point : curve.points) {
    if (point.iteration % interval != 0 || point.iteration < earlier.first || point.iteration >= end) continue;
    v1::DisplayLine line;
    line.set_iteration(point.iteration);
    line.set_loss(point.loss);
    line.set_learning_rate(point.learning_rate);
    line.set_seconds(point.seconds);
    const size_t values = std::min(point.outputs.size(), static_cast<size_t>(outputs.size()));
    for (size_t i = 0; i < values; ++i) {
      const v1::OutputSpec& output = outputs.Get(static_cast<int>(i));
      v1::NamedValue* const value = line.add_outputs();
      value->set_name(output.name());
      value->set_loss_weight(output.loss_weight());
      value->set_value(point.outputs[i]);
    }
    earlier.lines.push_back(std::move(line));
  }
  earlier.missing -= std::min<uint64_t>(earlier.missing, earlier.lines.size());
  return earlier;
}

std::string MissingText(const EarlierDisplays& earlier) {
  if (earlier.missing == 0) return "";
  return absl::StrCat("of the ", earlier.wanted, " lines of iterations ", earlier.first, " to ", earlier.last, " ",
                      earlier.missing == earlier.wanted ? "none is" : absl::StrCat(earlier.missing, " are not"),
                      " kept any more");
}

}  // namespace samovar
