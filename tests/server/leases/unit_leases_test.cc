#include "server/leases/unit_leases.h"

#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kAnna = 1;
constexpr uint64_t kBoris = 2;
constexpr uint32_t kPushEvery = 4;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TrainLeases::Options Of(uint64_t max_iter) {
  TrainLeases::Options options;
  options.max_iter = max_iter;
  return options;
}

bool Whole(const IterationRange& range, uint64_t max_iter) {
  return range.begin % kPushEvery == 0 && (range.end % kPushEvery == 0 || range.end == max_iter);
}

TEST_CASE("leases are whole units, disjoint, and together all iterations, whether or not push_every divides max_iter") {
  for (const uint64_t max_iter : {3, 400, 402}) {
    UnitLeases leases(Of(max_iter), kPushEvery, Ledger());
    Ledger leased;
    double time = 0;
    while (!leases.complete()) {
      const auto lease = leases.Acquire(kAnna, 2, At(time += 0.1));
      REQUIRE(lease.has_value());
      REQUIRE(Whole(lease->range, max_iter));
      REQUIRE(leases.LeasesOf(kAnna).front().range == lease->range);
      REQUIRE(leases.Leases().front().range == lease->range);
      for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) {
        REQUIRE(leased.Add(t));
        REQUIRE(leases.Complete(kAnna, t, 0, At(time)) == TrainLeases::News::kIteration);
      }
    }
    CHECK(leased.watermark() == max_iter);
    CHECK(leases.done().watermark() == max_iter);
  }
}

TEST_CASE("of what a lost worker held all units come again that were not reported whole") {
  UnitLeases leases(Of(100), kPushEvery, Ledger());
  const auto lost = leases.Acquire(kAnna, 2, At(0));
  REQUIRE(lost->range == IterationRange{0, 16});
  for (uint64_t t = 0; t < 6; ++t) leases.Complete(kAnna, t, 0, At(1));
  CHECK(leases.Complete(kAnna, 5, 0, At(1)) == TrainLeases::News::kNothing);
  CHECK(leases.done().watermark() == 6);
  leases.ReleaseWorker(kAnna);
  const auto again = leases.Acquire(kBoris, 2, At(2));
  CHECK(again->range.begin == 4);
  CHECK(Whole(again->range, 100));
  // Reported again where they were not.
  for (uint64_t t = 4; t < 8; ++t) {
    CHECK(leases.Complete(kBoris, t, 0, At(3)) ==
          (t < 6 ? TrainLeases::News::kNothing : TrainLeases::News::kIteration));
  }
  CHECK(leases.done().watermark() == 8);
}

TEST_CASE("what is done at the start, and what is found missing, are units") {
  Ledger done;
  done.AddRange(0, 8);
  done.AddRange(12, 16);
  UnitLeases leases(Of(18), kPushEvery, done);
  CHECK(leases.Acquire(kAnna, 1, At(0))->range == IterationRange{8, 12});
  CHECK(leases.Acquire(kAnna, 1, At(0))->range == IterationRange{16, 18});
  for (uint64_t t = 8; t < 12; ++t) leases.Complete(kAnna, t, 0, At(1));
  for (uint64_t t = 16; t < 18; ++t) leases.Complete(kAnna, t, 0, At(1));
  REQUIRE(leases.complete());
  leases.AddMissing({{8, 12}});
  CHECK_FALSE(leases.complete());
  CHECK(leases.done().Missing(0, 18) == std::vector<IterationRange>{{8, 12}});
  CHECK(leases.Acquire(kBoris, 1, At(2))->range == IterationRange{8, 12});
}

TEST_CASE("nothing is leased beyond the limit, and within the delay a unit may miss others") {
  TrainLeases::Options options = Of(100);
  options.delay = 2 * kPushEvery;
  UnitLeases leases(options, kPushEvery, Ledger());
  leases.SetLimit(8);
  // With 3 workers, leases of a unit fill the delay.
  CHECK(leases.Acquire(kAnna, 3, At(0))->range == IterationRange{0, 4});
  CHECK(leases.Acquire(kBoris, 3, At(0))->range == IterationRange{4, 8});
  CHECK_FALSE(leases.Acquire(kAnna, 3, At(0)).has_value());
  leases.SetLimit(100);
  CHECK(leases.Acquire(kAnna, 3, At(0))->range == IterationRange{8, 12});
}

}  // namespace
}  // namespace samovar
