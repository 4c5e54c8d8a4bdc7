#include "server/store/part_sum.h"

#include <utility>

namespace samovar {

void PartSum::Add(uint32_t part, std::span<const float> gradient, const std::vector<RuleSegment>& segments) {
  if (part != next_) {
    early_.emplace(part, std::vector<float>(gradient.begin(), gradient.end()));
    return;
  }
  AddNext(gradient, segments);
  while (!early_.empty() && early_.begin()->first == next_) {
    const auto early = early_.extract(early_.begin());
    AddNext(early.mapped(), segments);
  }
}

void PartSum::Skip(uint32_t part) {
  skipped_ = true;
  Add(part, {}, {});
}

void PartSum::AddNext(std::span<const float> gradient, const std::vector<RuleSegment>& segments) {
  // Parts are only counted then.
  if (skipped_) {
    ++next_;
    return;
  }
  if (next_ == 0) {
    sum_.assign(gradient.begin(), gradient.end());
    ++next_;
    return;
  }
  ++next_;
  float* __restrict sum = sum_.data();
  const float* __restrict added = gradient.data();
  for (const RuleSegment& segment : segments) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) {
      MergeStatistics(segment, sum_, gradient);
    } else {
      for (size_t i = segment.begin; i < segment.end; ++i) sum[i] += added[i];
    }
  }
}

std::vector<float> PartSum::TakeMean(const std::vector<RuleSegment>& segments) {
  std::vector<float> mean = std::exchange(sum_, {});
  const float parts = static_cast<float>(parts_);
  for (const RuleSegment& segment : segments) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    for (size_t i = segment.begin; i < segment.end; ++i) mean[i] /= parts;
  }
  Clear();
  return mean;
}

void PartSum::Clear() {
  next_ = 0;
  skipped_ = false;
  sum_.clear();
  early_.clear();
}

}  // namespace samovar
