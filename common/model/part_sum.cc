#include "common/model/part_sum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/vector_level.h"
#include "common/model/layout.h"

namespace samovar {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// Factors are powers of two: products are exact, and sums round as the plain sum of the parts does.
void AddGradients(float added_factor, const float* __restrict added, float sum_factor, float* __restrict sum,
                  size_t count) {
  AtVectorLevel([=] {
    for (size_t i = 0; i < count; ++i) sum[i] = sum_factor * sum[i] + added_factor * added[i];
  });
}

float Merged(float factor, float left, float right) {
  const float merged = factor * left + right;
  return std::isinf(left) || std::isinf(right) ? merged : std::clamp(merged, -kLargest, kLargest);
}

float Power(float base, uint32_t exponent) {
  float power = 1;
  for (uint32_t i = 0; i < exponent; ++i) power *= base;
  return power;
}

}  // namespace

std::vector<StatisticRange> StatisticRangesOf(const v1::ParameterLayout& layout) {
  std::vector<StatisticRange> statistics;
  for (const v1::ParameterBlob& blob : layout.blobs()) {
    if (blob.rule() != v1::UPDATE_RULE_MOVING_AVERAGE) continue;
    statistics.push_back({blob.offset(), blob.offset() + BlobElements(blob), blob.moving_average_fraction()});
  }
  return statistics;
}

void AddHalf(const PartRange& added_half, const float* added, std::span<const StatisticRange> statistics, size_t begin,
             size_t end, const PartRange& sum_half, float* sum) {
  const bool added_is_left = added_half.first < sum_half.first;
  const PartRange& left = added_is_left ? added_half : sum_half;
  const PartRange& right = added_is_left ? sum_half : added_half;
  const float of_right = 0.5f * static_cast<float>(right.places()) / static_cast<float>(left.places());
  const auto add = [&](size_t from, size_t to) {
    if (from >= to) return;
    AddGradients(added_is_left ? 0.5f : of_right, added + from, added_is_left ? of_right : 0.5f, sum + from, to - from);
  };
  size_t done = begin;
  for (const StatisticRange& statistic : statistics) {
    const size_t from = std::max(begin, statistic.begin);
    const size_t to = std::min(end, statistic.end);
    if (from >= to) continue;
    add(done, from);
    const float factor = Power(statistic.fraction, right.count);
    for (size_t i = from; i < to; ++i)
      sum[i] = added_is_left ? Merged(factor, added[i], sum[i]) : Merged(factor, sum[i], added[i]);
    done = to;
  }
  add(done, end);
}

bool PartSum::Holds(const PartRange& subtree) const {
  const auto after = nodes_.upper_bound(subtree.first);
  return after != nodes_.begin() && std::prev(after)->second.range.Contains(subtree);
}

PartSum::Nodes::node_type PartSum::Take(const PartRange& subtree) {
  const auto found = nodes_.find(subtree.first);
  return found != nodes_.end() && found->second.range == subtree ? nodes_.extract(found) : Nodes::node_type();
}

void PartSum::Add(const PartRange& subtree, std::span<const float> values) {
  if (skipped_) values = {};
  Nodes::node_type node;
  auto within = nodes_.lower_bound(subtree.first);
  const bool replaces = within != nodes_.end() && subtree.Contains(within->second.range);
  const std::optional<PartRange> sibling = SiblingOf(subtree, parts_);
  if (replaces) {
    const auto first = within++;
    while (within != nodes_.end() && subtree.Contains(within->second.range)) within = nodes_.erase(within);
    node = nodes_.extract(first);
    std::copy(values.begin(), values.end(), node.mapped().values.begin());
  } else if (sibling.has_value() && !(node = Take(*sibling)).empty()) {
    AddHalf(subtree, values.data(), statistics_, 0, values.size(), *sibling, node.mapped().values.data());
    node.key() = std::min(subtree.first, sibling->first);
    node.mapped().range = PartRange(node.key(), subtree.count + sibling->count);
    return Join(std::move(node));
  } else {
    nodes_.emplace(subtree.first, Node{subtree, std::vector<float>(values.begin(), values.end())});
    return;
  }
  node.key() = subtree.first;
  node.mapped().range = subtree;
  Join(std::move(node));
}

void PartSum::Join(Nodes::node_type node) {
  while (const std::optional<PartRange> sibling = SiblingOf(node.mapped().range, parts_)) {
    Nodes::node_type other = Take(*sibling);
    if (other.empty()) break;
    Node& sum = node.mapped();
    const Node& half = other.mapped();
    // One of them has none when a part is skipped.
    const size_t count = std::min(sum.values.size(), half.values.size());
    AddHalf(half.range, half.values.data(), statistics_, 0, count, sum.range, sum.values.data());
    sum.range = PartRange(std::min(sum.range.first, half.range.first), sum.range.count + half.range.count);
    node.key() = sum.range.first;
  }
  nodes_.insert(std::move(node));
}

void PartSum::Skip(const PartRange& subtree) {
  Add(subtree, {});
  skipped_ = true;
  for (auto& [first, node] : nodes_) node.values.clear();
}

std::vector<float> PartSum::TakeMean() {
  Node& root = nodes_.begin()->second;
  const float share = static_cast<float>(parts_) / static_cast<float>(root.range.places());
  std::vector<float> mean = std::move(root.values);
  Clear();
  if (share == 1) return mean;
  const auto divide = [&](size_t begin, size_t end) {
    // Rounding may have carried it beyond.
    for (size_t i = begin; i < end; ++i) mean[i] = std::clamp(mean[i] / share, -kLargest, kLargest);
  };
  size_t done = 0;
  for (const StatisticRange& statistic : statistics_) {
    divide(done, statistic.begin);
    done = statistic.end;
  }
  divide(done, mean.size());
  return mean;
}

void PartSum::Clear() {
  skipped_ = false;
  nodes_.clear();
}

}  // namespace samovar
