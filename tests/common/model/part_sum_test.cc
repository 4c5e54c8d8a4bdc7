#include "common/model/part_sum.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Floats = std::vector<float>;
constexpr uint32_t kPartCounts[] = {1, 2, 3, 5, 6, 7, 8, 16};
// The second float is a statistic, of which a part leaves so much.
constexpr float kFraction = 0.9f;
const std::vector<StatisticRange> kStatistics = {{1, 2, kFraction}};

std::vector<Floats> RandomParts(uint32_t parts, std::mt19937* random) {
  // Of different magnitudes, so that another order of additions would show.
  std::vector<Floats> values(parts);
  for (Floats& part : values) {
    for (int i = 0; i < 40; ++i) {
      part.push_back(
          std::ldexp(1.0f + static_cast<float>((*random)() % 1000) / 999, static_cast<int>((*random)() % 24)));
    }
  }
  return values;
}

// The plain sums of the parts that are in [first, first + places), half by half.
Floats SumOf(const std::vector<Floats>& parts, uint32_t first, uint32_t places) {
  if (places == 1) return parts[first];
  const Floats left = SumOf(parts, first, places / 2);
  if (first + places / 2 >= parts.size()) return left;
  Floats sum = SumOf(parts, first + places / 2, places / 2);
  const uint32_t count = std::min(places / 2, static_cast<uint32_t>(parts.size()) - first - places / 2);
  float factor = 1;
  for (uint32_t i = 0; i < count; ++i) factor *= kFraction;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = i == 1 ? factor * left[i] + sum[i] : left[i] + sum[i];
  return sum;
}

Floats MeanOf(const std::vector<Floats>& parts) {
  const auto count = static_cast<uint32_t>(parts.size());
  Floats mean = SumOf(parts, 0, std::bit_ceil(count));
  for (size_t i = 0; i < mean.size(); ++i) mean[i] = i == 1 ? mean[i] : mean[i] / static_cast<float>(count);
  return mean;
}

// What a worker pushes that holds the subtree.
Floats ValuesOf(const std::vector<Floats>& parts, const PartRange& subtree) {
  if (subtree.count == 1) return parts[subtree.first];
  uint32_t half = subtree.places() / 2;
  const PartRange left(subtree.first, half);
  const PartRange right(subtree.first + half, subtree.count - half);
  Floats sum = ValuesOf(parts, left);
  const Floats added = ValuesOf(parts, right);
  AddHalf(right, added.data(), kStatistics, 0, sum.size(), left, sum.data());
  return sum;
}

PartRange RandomSubtree(uint32_t parts, std::mt19937* random) {
  PartRange subtree((*random)() % parts);
  for (auto levels = (*random)() % 4; levels > 0; --levels) {
    const auto sibling = SiblingOf(subtree, parts);
    if (!sibling.has_value()) break;
    subtree = PartRange(std::min(subtree.first, sibling->first), subtree.count + sibling->count);
  }
  return subtree;
}

TEST_CASE("the sum is that of the tree to the bit, in whatever subtrees the parts come, twice or overlapping") {
  std::mt19937 random(1);
  for (const uint32_t count : kPartCounts) {
    INFO(count << " parts");
    const std::vector<Floats> parts = RandomParts(count, &random);
    const Floats expected = MeanOf(parts);
    PartSum sum(count, kStatistics);
    for (int dealing = 0; dealing < 200; ++dealing) {
      std::vector<bool> held(count);
      while (!sum.complete()) {
        const PartRange subtree = RandomSubtree(count, &random);
        const bool all = std::all_of(held.begin() + subtree.first, held.begin() + static_cast<int64_t>(subtree.end()),
                                     [](bool one) { return one; });
        REQUIRE(sum.Holds(subtree) == all);
        if (all) continue;
        sum.Add(subtree, ValuesOf(parts, subtree));
        std::fill(held.begin() + subtree.first, held.begin() + static_cast<int64_t>(subtree.end()), true);
        REQUIRE(sum.Holds(subtree));
      }
      REQUIRE(sum.TakeMean() == expected);
      REQUIRE_FALSE(sum.Holds(PartRange(0)));
    }
  }
}

TEST_CASE("a half is added piece by piece as it is as a whole") {
  std::mt19937 random(2);
  const std::vector<Floats> parts = RandomParts(3, &random);
  const PartRange left(0, 2);
  const Floats whole = ValuesOf(parts, PartRange(0, 3));
  for (const size_t cut : {0u, 1u, 2u, 7u, 40u}) {
    Floats sum = ValuesOf(parts, left);
    AddHalf(PartRange(2), parts[2].data(), kStatistics, 0, cut, left, sum.data());
    AddHalf(PartRange(2), parts[2].data(), kStatistics, cut, sum.size(), left, sum.data());
    CHECK(sum == whole);
  }
}

TEST_CASE("finite parts have finite values in every subtree, however large they are") {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const uint32_t count : {2u, 3u, 5u, 7u, 8u, 64u, 100u}) {
    INFO(count << " parts");
    PartSum sum(count, kStatistics);
    for (uint32_t p = 0; p < count; ++p) sum.Add(PartRange(p), Floats{-kLargest, kLargest, kLargest});
    const Floats mean = sum.TakeMean();
    CHECK(mean[0] == Approx(-kLargest));
    CHECK(mean[1] == kLargest);
    CHECK(std::isfinite(mean[2]));
  }
}

TEST_CASE("what is not finite in a part is not finite in any sum with it") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    for (const float other : {1.0f, 0.0f, -kInfinity}) {
      Floats sum = {bad, bad, bad};
      AddHalf(PartRange(1), Floats{other, other, other}.data(), kStatistics, 0, 3, PartRange(0), sum.data());
      for (const float value : sum) CHECK_FALSE(std::isfinite(value));
      sum = {other, other, other};
      AddHalf(PartRange(1), Floats{bad, bad, bad}.data(), kStatistics, 0, 3, PartRange(0), sum.data());
      for (const float value : sum) CHECK_FALSE(std::isfinite(value));
    }
  }
}

TEST_CASE("parts that are skipped complete the sum, and what comes after them is only counted") {
  std::mt19937 random(3);
  const std::vector<Floats> parts = RandomParts(5, &random);
  for (uint32_t skipped = 0; skipped < 5; ++skipped) {
    PartSum sum(5, kStatistics);
    for (const uint32_t p : {3u, 1u, 4u, 0u, 2u}) {
      if (p == skipped) {
        sum.Skip(PartRange(p));
      } else {
        sum.Add(PartRange(p), parts[p]);
      }
      CHECK(sum.Holds(PartRange(p)));
    }
    CHECK(sum.complete());
    CHECK(sum.skipped());
    sum.Clear();
    sum.Add(PartRange(0, 5), ValuesOf(parts, PartRange(0, 5)));
    CHECK_FALSE(sum.skipped());
    CHECK(sum.TakeMean() == MeanOf(parts));
  }
  PartSum sum(8, kStatistics);
  sum.Add(PartRange(1), Floats{1, 2});
  sum.Skip(PartRange(0, 4));
  sum.Add(PartRange(4, 4), Floats{1, 2});
  CHECK(sum.complete());
  CHECK(sum.skipped());
}

}  // namespace
}  // namespace samovar
