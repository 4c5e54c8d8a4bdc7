#include "server/store/part_sum.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "common/base/vector_level.h"

namespace samovar {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// The largest magnitude of finite values. In integers, since a float reduction would not be vectorised.
double LargestOf(std::span<const float> values) {
  constexpr uint32_t kMagnitude = 0x7FFFFFFF;
  uint32_t found = 0;
  AtVectorLevel([values, &found] {
    uint32_t largest = 0;
    for (float value : values) largest = std::max(largest, std::bit_cast<uint32_t>(value) & kMagnitude);
    found = largest;
  });
  return std::bit_cast<float>(found);
}

}  // namespace

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
    bound_ = LargestOf(gradient);
    ++next_;
    return;
  }
  MakeRoom(gradient, segments);
  ++next_;
  float* __restrict sum = sum_.data();
  const float* __restrict added = gradient.data();
  const float scale = scale_;
  for (const RuleSegment& segment : segments) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) {
      MergeStatistics(segment, sum_, gradient);
    } else {
      for (size_t i = segment.begin; i < segment.end; ++i) sum[i] += scale * added[i];
    }
  }
}

void PartSum::MakeRoom(std::span<const float> gradient, const std::vector<RuleSegment>& segments) {
  bound_ += LargestOf(gradient);
  if (bound_ <= kLargest || scale_ != 1) return;
  while (scale_ * static_cast<float>(parts_) > 0.5f) scale_ /= 2;
  for (const RuleSegment& segment : segments) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    for (size_t i = segment.begin; i < segment.end; ++i) sum_[i] *= scale_;
  }
}

std::vector<float> PartSum::TakeMean(const std::vector<RuleSegment>& segments) {
  std::vector<float> mean = std::exchange(sum_, {});
  const float parts = scale_ * static_cast<float>(parts_);
  const bool scaled = scale_ != 1;
  for (const RuleSegment& segment : segments) {
    if (segment.rule == v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    for (size_t i = segment.begin; i < segment.end; ++i) mean[i] /= parts;
    // Rounding may have carried it beyond.
    for (size_t i = segment.begin; scaled && i < segment.end; ++i) mean[i] = std::clamp(mean[i], -kLargest, kLargest);
  }
  Clear();
  return mean;
}

void PartSum::Clear() {
  next_ = 0;
  skipped_ = false;
  scale_ = 1;
  bound_ = 0;
  sum_.clear();
  early_.clear();
}

}  // namespace samovar
