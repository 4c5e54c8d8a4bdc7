#include "server/jobs/display_log.h"

#include <algorithm>

#include "common/base/printable.h"
#include "common/model/learning_rate.h"

namespace samovar {

void DisplayLog::Restore(const google::protobuf::RepeatedPtrField<v1::DisplayLine>& lines,
                         std::optional<uint64_t> displayed) {
  displayed_ = displayed;
  for (v1::DisplayLine line : lines) {
    for (v1::NamedValue& output : *line.mutable_outputs()) output.set_name(Printable(output.name()));
    if (line.iteration() >= end()) Keep(std::move(line));
  }
}

std::optional<std::pair<uint64_t, uint64_t>> DisplayLog::Begin(uint64_t first) {
  next_ = first;
  const uint64_t from = displayed_.value_or(first);
  displayed_ = std::max(from, first);
  if (from >= first || Interval() == 0) return std::nullopt;
  const uint64_t lost = (from + Interval() - 1) / Interval() * Interval();
  if (lost >= first) return std::nullopt;
  return std::pair(lost, (first - 1) / Interval() * Interval());
}

void DisplayLog::Add(uint64_t iteration, Result result) {
  if (iteration >= next_) results_[iteration] = std::move(result);
}

void DisplayLog::Advance(uint64_t watermark, double seconds) {
  const auto average = static_cast<uint64_t>(std::max(1, spec_.solver().average_loss()));
  for (; next_ < watermark; ++next_) {
    while (!losses_.empty() && losses_.front().first + average <= next_) {
      loss_sum_ -= losses_.front().second;
      losses_.pop_front();
    }
    // Rounding errors must not add up over the iterations.
    if (losses_.empty()) loss_sum_ = 0;
    const auto found = results_.find(next_);
    if (found == results_.end()) continue;
    if (!found->second.skipped) {
      losses_.emplace_back(next_, found->second.loss);
      loss_sum_ += found->second.loss;
    }
    AddLine(next_, found->second, seconds);
    results_.erase(found);
  }
  displayed_ = std::max(displayed_.value_or(0), next_);
}

void DisplayLog::AddLine(uint64_t iteration, const Result& result, double seconds) {
  if (Interval() == 0 || iteration % Interval() != 0 || losses_.empty()) return;
  if (iteration < displayed_.value_or(0)) return;
  v1::DisplayLine line;
  line.set_iteration(iteration);
  line.set_loss(loss_sum_ / static_cast<double>(losses_.size()));
  line.set_learning_rate(LearningRate(spec_.solver(), iteration));
  line.set_seconds(seconds);
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    const v1::OutputSpec& spec = spec_.train_outputs().outputs(static_cast<int>(i));
    v1::NamedValue* output = line.add_outputs();
    output->set_name(spec.name());
    output->set_loss_weight(spec.loss_weight());
    output->set_mean_of(spec.mean_of());
    output->set_value(result.outputs[i]);
  }
  Keep(std::move(line));
}

void DisplayLog::Keep(v1::DisplayLine line) {
  values_ += static_cast<size_t>(line.outputs_size());
  lines_.push_back(std::move(line));
  while (lines_.size() > 1 && (lines_.size() > kMaxLines || values_ > kMaxValues)) {
    values_ -= static_cast<size_t>(lines_.front().outputs_size());
    lines_.pop_front();
  }
}

std::vector<v1::DisplayLine> DisplayLog::From(uint64_t iteration) const {
  const auto first = std::lower_bound(lines_.begin(), lines_.end(), iteration,
                                      [](const v1::DisplayLine& line, uint64_t t) { return line.iteration() < t; });
  return {first, lines_.end()};
}

}  // namespace samovar
