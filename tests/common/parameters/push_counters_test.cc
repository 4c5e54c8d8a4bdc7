#include "common/parameters/push_counters.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

v1::PushCounters Counted(const std::vector<uint64_t>& staleness) {
  v1::PushCounters counters;
  for (const uint64_t s : staleness) CountApplied(s, &counters);
  return counters;
}

// The value at a rank, counted from 1, of all values.
uint64_t PercentileOf(std::vector<uint64_t> values, size_t percent) {
  std::sort(values.begin(), values.end());
  const size_t rank = (values.size() * percent + 99) / 100;
  return values[rank - 1];
}

TEST_CASE("percentiles of staleness are exact up to 32") {
  std::mt19937_64 random(1);
  for (const size_t pushes : {1, 2, 3, 10, 99, 100, 101, 1000}) {
    std::vector<uint64_t> staleness;
    for (size_t i = 0; i < pushes; ++i) staleness.push_back(std::min(random() % 33, random() % 33));
    const v1::PushCounters counters = Counted(staleness);
    for (const int percent : {1, 10, 50, 90, 99, 100}) {
      INFO(pushes << " pushes, " << percent << " %");
      CHECK(StalenessPercentile(counters, percent) == PercentileOf(staleness, static_cast<size_t>(percent)));
    }
    CHECK(counters.applied() == pushes);
  }
}

TEST_CASE("beyond 32 staleness is counted in ranges that double") {
  const auto entry = [](uint64_t staleness) { return Counted({staleness}).staleness_size() - 1; };
  CHECK(entry(0) == 0);
  CHECK(entry(32) == 32);
  CHECK(entry(33) == 33);
  CHECK(entry(64) == 33);
  CHECK(entry(65) == 34);
  CHECK(entry(128) == 34);
  CHECK(entry(129) == 35);
  CHECK(entry(uint64_t{1} << 63) == 32 + 58);
  CHECK(entry(std::numeric_limits<uint64_t>::max()) == 32 + 59);
  // The bound of its range, or the maximum if that is less.
  const v1::PushCounters counters = Counted({1, 40, 40, 40, 100});
  CHECK(StalenessPercentile(counters, 50) == 64);
  CHECK(StalenessPercentile(counters, 100) == 100);
  const uint64_t large = (uint64_t{1} << 63) + 5;
  CHECK(StalenessPercentile(Counted({large}), 50) <= large);
}

TEST_CASE("counters are added up as if all pushes had been counted in one place") {
  const std::vector<uint64_t> first = {0, 3, 3, 50};
  const std::vector<uint64_t> second = {1, 200};
  v1::PushCounters sum = Counted(first);
  sum.set_duplicates(2);
  v1::PushCounters more = Counted(second);
  more.set_duplicates(1);
  more.set_rejected(4);
  AddCounters(more, &sum);
  v1::PushCounters expected = Counted({0, 3, 3, 50, 1, 200});
  expected.set_duplicates(3);
  expected.set_rejected(4);
  CHECK(sum.SerializeAsString() == expected.SerializeAsString());
  CHECK(MeanStaleness(sum) == Approx(257.0 / 6));
  // Into an empty one, and an empty one.
  v1::PushCounters copy;
  AddCounters(sum, &copy);
  AddCounters(v1::PushCounters(), &copy);
  CHECK(copy.SerializeAsString() == sum.SerializeAsString());
}

TEST_CASE("without pushes there is no staleness") {
  CHECK(MeanStaleness(v1::PushCounters()) == 0);
  CHECK(StalenessPercentile(v1::PushCounters(), 50) == 0);
}

}  // namespace
}  // namespace samovar
