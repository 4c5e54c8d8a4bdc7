#include "worker/train/subtree_sum.h"

#include <cmath>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kElements = 10;

// Three gradients, two statistics, five gradients.
v1::ParameterLayout SmallLayout() {
  v1::ParameterLayout layout;
  for (const int count : {3, 2, 5}) {
    v1::ParameterBlob* blob = layout.add_blobs();
    blob->add_shape(count);
    blob->set_offset(layout.elements());
    layout.set_elements(layout.elements() + static_cast<uint64_t>(count));
  }
  layout.mutable_blobs(1)->set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
  layout.mutable_blobs(1)->set_moving_average_fraction(0.9f);
  return layout;
}

std::vector<float> GradientOf(uint32_t part) {
  std::vector<float> gradient;
  for (uint64_t i = 0; i < kElements; ++i)
    gradient.push_back(std::exp(std::sin(static_cast<float>(13 * part + i)) * 9));
  return gradient;
}

// As servers add them up.
std::vector<float> MeanWith(const std::vector<std::pair<PartRange, std::vector<float>>>& pushed, uint32_t parts) {
  PartSum sum(parts, StatisticRangesOf(SmallLayout()));
  for (const auto& [range, values] : pushed) sum.Add(range, values);
  REQUIRE(sum.complete());
  return sum.TakeMean();
}

TEST_CASE("a worker's sum of a subtree is what servers make of its parts, to the bit") {
  SubtreeSum sum(SmallLayout());
  for (const uint32_t parts : {2u, 3u, 5u, 7u, 8u, 16u}) {
    std::vector<std::pair<PartRange, std::vector<float>>> alone;
    for (uint32_t part = 0; part < parts; ++part) alone.emplace_back(part, GradientOf(part));
    const std::vector<float> expected = MeanWith(alone, parts);
    for (uint32_t first = 0; first < parts; ++first) {
      for (uint32_t count = 2; first + count <= parts; ++count) {
        const PartRange subtree(first, count);
        if (!IsSubtree(subtree, parts)) continue;
        INFO(PartsText(subtree) << " of " << parts);
        for (uint32_t part = first; part + 1 < first + count; ++part) sum.Add(part, part == first, GradientOf(part));
        const uint32_t last = first + count - 1;
        // The last layers come first.
        const std::vector<float> gradient = GradientOf(last);
        sum.AddLast(last, gradient, 4, kElements);
        sum.AddLast(last, gradient, 0, 4);
        std::vector<std::pair<PartRange, std::vector<float>>> pushed;
        pushed.emplace_back(subtree, std::vector<float>(sum.values().begin(), sum.values().end()));
        for (uint32_t part = 0; part < parts; ++part) {
          if (!subtree.Contains(PartRange(part))) pushed.emplace_back(part, GradientOf(part));
        }
        CHECK(MeanWith(pushed, parts) == expected);
      }
    }
  }
}

}  // namespace
}  // namespace samovar
