#include "server/leases/part_shares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Shares = std::map<uint64_t, PartRange>;

constexpr uint64_t kAnna = 1;
constexpr uint64_t kBoris = 2;
constexpr uint64_t kClara = 3;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// The workers 1, 2, ... take so many seconds for a part; 0: that is not known.
PartShares SharesOf(const std::vector<double>& seconds, double measured = 0) {
  PartShares shares;
  for (size_t i = 0; i < seconds.size(); ++i) shares.Count(i + 1, absl::Seconds(seconds[i]), At(measured));
  return shares;
}

TEST_CASE("workers that are equally fast, or about so, have aligned subtrees of the same size") {
  const PartShares shares = GENERATE(SharesOf({}), SharesOf({2, 2, 2, 2}), SharesOf({2, 2.4, 0, 1.9}));
  CHECK(shares.Deal({kAnna, kBoris}, 8, At(1)) == Shares{{kAnna, {0, 4}}, {kBoris, {4, 4}}});
  CHECK(shares.Deal({1, 2, 3, 4}, 8, At(1)) == Shares{{1, {0, 2}}, {2, {2, 2}}, {3, {4, 2}}, {4, {6, 2}}});
  CHECK(shares.Deal({kBoris}, 8, At(1)) == Shares{{kBoris, {0, 8}}});
}

TEST_CASE("a worker that is twice as fast has twice the parts, or nearly, in few subtrees") {
  CHECK(SharesOf({1, 2}).Deal({kAnna, kBoris}, 8, At(1)) == Shares{{kAnna, {0, 6}}, {kBoris, {6, 2}}});
  CHECK(SharesOf({2, 1}).Deal({kAnna, kBoris}, 8, At(1)) == Shares{{kAnna, {0, 2}}, {kBoris, {2, 6}}});
  CHECK(SharesOf({1, 2}).Deal({kBoris, kAnna}, 8, At(1)) == Shares{{kBoris, {0, 2}}, {kAnna, {2, 6}}});
  // Alone it is as fast as with seven parts, whose sum is that of three subtrees.
  CHECK(SharesOf({1, 5}).Deal({kAnna, kBoris}, 8, At(1)) == Shares{{kAnna, {0, 8}}});
  CHECK(SharesOf({1, 1, 1, 3}).Deal({1, 2, 3, 4}, 13, At(1)) ==
        Shares{{1, {0, 4}}, {2, {4, 4}}, {3, {8, 4}}, {4, {12, 1}}});
}

TEST_CASE("a worker that holds the others up with a single part has none, and one after a while, to be measured") {
  PartShares shares = SharesOf({1, 20});
  CHECK(shares.Deal({kAnna, kBoris}, 8, At(1)) == Shares{{kAnna, {0, 8}}});
  shares.Count(kAnna, absl::Seconds(1), At(31));
  CHECK(shares.Deal({kAnna, kBoris}, 8, At(31)) == Shares{{kAnna, {0, 7}}, {kBoris, {7, 1}}});
  SECTION("it is as slow as it was") {
    shares.Count(kBoris, absl::Seconds(20), At(32));
    CHECK(shares.Deal({kAnna, kBoris}, 8, At(33)) == Shares{{kAnna, {0, 8}}});
  }
  SECTION("it is as fast as the other") {
    shares.Count(kBoris, absl::Seconds(1), At(32));
    CHECK(shares.Deal({kAnna, kBoris}, 8, At(33)) == Shares{{kAnna, {0, 4}}, {kBoris, {4, 4}}});
  }
}

TEST_CASE("where no speed is new all are taken for equally fast") {
  const PartShares shares = SharesOf({1, 20});
  CHECK(shares.Deal({kAnna, kBoris}, 8, At(31)) == Shares{{kAnna, {0, 4}}, {kBoris, {4, 4}}});
}

TEST_CASE("a worker whose speed is not known counts as one in the middle") {
  const PartShares shares = SharesOf({1, 2, 0, 20});
  CHECK(shares.Deal({kBoris, kClara}, 8, At(1)) == Shares{{kBoris, {0, 4}}, {kClara, {4, 4}}});
  PartShares forgotten = shares;
  forgotten.Forget(kAnna);
  CHECK(forgotten.PartTimeForTesting(kAnna) == absl::ZeroDuration());
  CHECK(forgotten.Deal({kAnna, kBoris}, 8, At(1)) == Shares{{kAnna, {0, 4}}, {kBoris, {4, 4}}});
}

TEST_CASE("a speed follows what is measured, and no single measurement") {
  PartShares shares;
  for (int i = 0; i < 1000; ++i) shares.Count(kAnna, absl::Milliseconds(i % 2 == 0 ? 1 : 3), At(1));
  CHECK(shares.PartTimeForTesting(kAnna) > absl::Milliseconds(1.9));
  CHECK(shares.PartTimeForTesting(kAnna) < absl::Milliseconds(2.1));
  shares.Count(kAnna, absl::Milliseconds(20), At(1));
  CHECK(shares.PartTimeForTesting(kAnna) < absl::Milliseconds(2.5));
  for (int i = 0; i < 1000; ++i) shares.Count(kAnna, absl::Milliseconds(20), At(1));
  CHECK(shares.PartTimeForTesting(kAnna) > absl::Milliseconds(19));
  // Few parts say enough where each takes long.
  for (int i = 0; i < 10; ++i) shares.Count(kAnna, absl::Seconds(10), At(1));
  CHECK(shares.PartTimeForTesting(kAnna) > absl::Seconds(9));
}

TEST_CASE("what no worker can have measured is passed over") {
  PartShares shares = SharesOf({1});
  for (const double seconds : {0.0, -1.0, 1e9, std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    shares.Count(kAnna, absl::Seconds(seconds), At(1));
    CHECK(shares.PartTimeForTesting(kAnna) == absl::Seconds(1));
  }
}

// The slowest share's time, in the time of the fastest worker's part.
double SlowestOf(const Shares& shares, const std::vector<double>& seconds, uint32_t parts) {
  double slowest = 0;
  for (const auto& [worker, range] : shares) {
    std::vector<uint32_t> listed;
    for (uint32_t part = range.first; part < range.end(); ++part) listed.push_back(part);
    const double pushes = PartShares::kPush * static_cast<double>(SubtreesOf(listed, parts).size());
    slowest = std::max(slowest, seconds[worker - 1] * (range.count + pushes));
  }
  return slowest;
}

TEST_CASE("whatever the speeds are, each part is dealt once, and no slower than in equal numbers") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 3000; ++round) {
    INFO("round " << round);
    const uint32_t parts = 1 + static_cast<uint32_t>(random() % 40);
    std::vector<double> seconds(1 + random() % 9);
    for (double& each : seconds) each = std::exp2(static_cast<double>(random() % 4000) / 100.0 - 30);
    std::vector<uint64_t> workers;
    for (size_t i = 0; i < seconds.size(); ++i) workers.push_back(i + 1);
    const Shares shares = SharesOf(seconds).Deal(workers, parts, At(1));
    uint32_t next = 0;
    for (const auto& [worker, range] : shares) {
      REQUIRE(worker <= workers.size());
      REQUIRE(range.first == next);
      REQUIRE(range.count > 0);
      next = static_cast<uint32_t>(range.end());
    }
    REQUIRE(next == parts);
    const uint32_t share = (parts + static_cast<uint32_t>(seconds.size()) - 1) / static_cast<uint32_t>(seconds.size());
    Shares equal;
    for (uint32_t first = 0; first < parts; first += share) {
      equal[first / share + 1] = {first, std::min(share, parts - first)};
    }
    CHECK(SlowestOf(shares, seconds, parts) <= 1.001 * SlowestOf(equal, seconds, parts));
  }
}

}  // namespace
}  // namespace samovar
