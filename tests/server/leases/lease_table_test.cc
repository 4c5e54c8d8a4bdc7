#include "server/leases/lease_table.h"

#include <array>
#include <random>
#include <vector>

#include "tests/server/leases/renew_all.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kAnna = 1;
constexpr uint64_t kBoris = 2;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

LeaseTable::Options Small(uint64_t max_iter) {
  LeaseTable::Options options;
  options.max_iter = max_iter;
  return options;
}

void CompleteAll(LeaseTable* table, const LeaseTable::Lease& lease, absl::Time now) {
  for (uint64_t t = lease.range.begin; t < lease.range.end; ++t) table->Complete(lease.worker, t, 0, now);
}

TEST_CASE("leases are disjoint and together all iterations") {
  LeaseTable table(Small(1000), Ledger());
  Ledger leased;
  double time = 0;
  while (!table.complete()) {
    const auto lease = table.Acquire(kAnna, 2, At(time += 0.1));
    REQUIRE(lease.has_value());
    for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) REQUIRE(leased.Add(t));
    CompleteAll(&table, *lease, At(time += 0.1));
  }
  CHECK(leased.watermark() == 1000);
  CHECK_FALSE(table.Acquire(kAnna, 2, At(time)).has_value());
}

TEST_CASE("what a lost worker held goes to another, without what it had done") {
  LeaseTable table(Small(100), Ledger());
  const auto lost = table.Acquire(kAnna, 2, At(0));
  REQUIRE(lost->range.end - lost->range.begin >= 3);
  table.Complete(kAnna, lost->range.begin, 0, At(1));
  table.Expire(At(5));
  CHECK(table.Holds(kAnna, lost->id));
  table.Expire(At(8));
  CHECK_FALSE(table.Holds(kAnna, lost->id));
  CHECK(table.releases() == 1);
  CHECK(table.TakeRevoked(kAnna) == std::vector<uint64_t>{lost->id});
  CHECK(table.TakeRevoked(kAnna).empty());

  const auto again = table.Acquire(kBoris, 2, At(8));
  CHECK(again->range == IterationRange{lost->range.begin + 1, lost->range.end});
}

TEST_CASE("a renewed lease stays, but not for ever without progress") {
  LeaseTable table(Small(100), Ledger());
  const auto lease = table.Acquire(kAnna, 1, At(0));
  for (int second = 1; second < 600; ++second) {
    RenewAll(&table, kAnna, At(second));
    table.Expire(At(second));
    REQUIRE(table.Holds(kAnna, lease->id));
  }
  RenewAll(&table, kAnna, At(601));
  table.Expire(At(601));
  CHECK_FALSE(table.Holds(kAnna, lease->id));
}

TEST_CASE("no iteration is leased beyond the window") {
  LeaseTable::Options options = Small(1000);
  options.window = 10;
  LeaseTable table(options, Ledger());
  const auto first = table.Acquire(kAnna, 2, At(0));
  uint64_t end = first->range.end;
  while (const auto lease = table.Acquire(kBoris, 2, At(0))) {
    CompleteAll(&table, *lease, At(0));
    end = lease->range.end;
  }
  CHECK(end == 10);
  CompleteAll(&table, *first, At(0));
  CHECK(table.Acquire(kBoris, 2, At(0))->range.begin == 10);
}

TEST_CASE("nothing is leased beyond a limit until it is raised") {
  LeaseTable table(Small(100), Ledger());
  table.SetLimit(0);
  CHECK_FALSE(table.Acquire(kAnna, 1, At(0)).has_value());
  table.SetLimit(2);
  CHECK(table.Acquire(kAnna, 1, At(0))->range == IterationRange{0, 2});
  CHECK_FALSE(table.Acquire(kAnna, 1, At(0)).has_value());
}

TEST_CASE("a straggler's iterations are leased a second time, and the first result wins") {
  LeaseTable table(Small(4), Ledger());
  std::vector<LeaseTable::Lease> slow;
  while (const auto lease = table.Acquire(kAnna, 1, At(0))) slow.push_back(*lease);
  CHECK_FALSE(table.Acquire(kBoris, 2, At(0.5)).has_value());
  const auto backup = table.Acquire(kBoris, 2, At(10));
  REQUIRE(backup.has_value());
  CHECK(backup->range.begin == 0);
  CHECK(table.speculative() >= 1);
  CompleteAll(&table, *backup, At(11));
  CHECK(table.Complete(kAnna, 0, 0, At(12)) == LeaseTable::News::kNothing);
  for (const LeaseTable::Lease& lease : slow) {
    for (uint64_t t = lease.range.begin; t < lease.range.end; ++t) table.Complete(kAnna, t, 0, At(12));
  }
  CHECK(table.complete());
  CHECK(table.releases() == 0);
}

TEST_CASE("leases grow with a worker's pace and shrink towards the end") {
  LeaseTable table(Small(10000), Ledger());
  double time = 0;
  uint64_t longest = 0;
  uint64_t last = 0;
  while (const auto lease = table.Acquire(kAnna, 2, At(time))) {
    last = lease->range.end - lease->range.begin;
    longest = std::max(longest, last);
    time += 0.02 * static_cast<double>(last);
    CompleteAll(&table, *lease, At(time));
  }
  CHECK(longest >= 40);
  CHECK(longest <= 64);
  CHECK(last == 1);
}

TEST_CASE("a resumed job leases just what some chunk lacks") {
  Ledger first, second;
  first.AddRange(0, 50);
  first.AddRange(55, 60);
  second.AddRange(0, 58);
  LeaseTable table(Small(70), HeldByAll({first, second}, 70));
  Ledger leased;
  while (const auto lease = table.Acquire(kAnna, 1, At(0))) {
    for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) leased.Add(t);
  }
  CHECK(leased.Missing(0, 70) == std::vector<IterationRange>{{0, 50}, {55, 58}});
}

TEST_CASE("iterations that the ledgers lack after all are leased again") {
  LeaseTable table(Small(10), Ledger());
  while (const auto lease = table.Acquire(kAnna, 1, At(0))) CompleteAll(&table, *lease, At(0));
  REQUIRE(table.complete());
  table.AddMissing({{3, 5}});
  CHECK_FALSE(table.complete());
  Ledger leased;
  while (const auto lease = table.Acquire(kBoris, 1, At(1))) {
    for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) leased.Add(t);
    CompleteAll(&table, *lease, At(1));
  }
  CHECK(leased.size() == 2);
  CHECK(leased.Contains(3));
  CHECK(leased.Contains(4));
  CHECK(table.complete());
}

TEST_CASE("whatever workers do and lose, every iteration is done in the end") {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    LeaseTable::Options options = Small(300);
    options.window = 32;
    LeaseTable table(options, Ledger());
    std::vector<LeaseTable::Lease> held;
    double time = 0;
    for (int step = 0; step < 20000 && !table.complete(); ++step) {
      time += 0.05;
      const uint64_t worker = 1 + random() % 4;
      const uint32_t what = random() % 100;
      if (what < 50) {
        if (const auto lease = table.Acquire(worker, 4, At(time))) held.push_back(*lease);
      } else if (what < 90 && !held.empty()) {
        const LeaseTable::Lease lease = held[random() % held.size()];
        table.Complete(lease.worker, lease.range.begin + random() % (lease.range.end - lease.range.begin), 0, At(time));
      } else if (what < 95) {
        table.ReleaseWorker(worker);
      } else if (what < 96) {
        table.AddMissing({{random() % 300, 300}});
      } else {
        time += 3;
        table.Expire(At(time));
      }
      REQUIRE(table.done().watermark() <= 300);
    }
    // One patient worker finishes what is left.
    for (int step = 0; step < 2000 && !table.complete(); ++step) {
      time += 1;
      table.Expire(At(time));
      if (const auto lease = table.Acquire(9, 1, At(time))) CompleteAll(&table, *lease, At(time));
    }
    INFO("seed " << seed);
    REQUIRE(table.complete());
  }
}

TEST_CASE("with a delay, workers that stand side by side have something to compute each") {
  LeaseTable::Options options = Small(1000);
  for (const auto& [delay, workers, length] :
       std::vector<std::array<uint64_t, 3>>{{0, 1, 4}, {0, 2, 1}, {6, 3, 3}, {6, 4, 2}, {2, 5, 1}}) {
    options.delay = delay;
    LeaseTable table(options, Ledger());
    const auto lease = table.Acquire(kAnna, workers, At(0));
    CHECK(lease->range.end - lease->range.begin == length);
  }
}

TEST_CASE("with a delay, whoever waits for what a lost worker held is revoked, and gets that first") {
  LeaseTable::Options options = Small(100);
  options.delay = 1;
  LeaseTable table(options, Ledger());
  const auto lost = table.Acquire(kAnna, 2, At(0));
  const auto reachable = table.Acquire(kBoris, 2, At(0));
  REQUIRE(reachable->range == IterationRange{1, 2});
  SECTION("one that can be done without it stays") {
    table.ReleaseWorker(kAnna);
    CHECK(table.TakeRevoked(kBoris).empty());
  }
  SECTION("one that cannot is revoked") {
    table.Complete(kBoris, 1, 0, At(1));
    const auto blocked = table.Acquire(kBoris, 2, At(1));
    REQUIRE(blocked->range == IterationRange{2, 3});
    RenewAll(&table, kBoris, At(7));
    table.Expire(At(7));
    CHECK(table.TakeRevoked(kBoris) == std::vector<uint64_t>{blocked->id});
    CHECK(table.Acquire(kBoris, 1, At(7))->range.begin == lost->range.begin);
    // Once is enough.
    table.Expire(At(7.5));
    CHECK(table.TakeRevoked(kBoris).empty());
  }
}

LeaseTable::Options OneEach(uint64_t max_iter) {
  LeaseTable::Options options = Small(max_iter);
  options.max_length = 1;
  return options;
}

// Two workers that do an iteration a second, each with leases of one iteration, until `done` are done.
double TrainTogether(LeaseTable* table, uint64_t done) {
  double time = 0;
  while (table->done().size() < done) {
    const auto anna = table->Acquire(kAnna, 2, At(time));
    const auto boris = table->Acquire(kBoris, 2, At(time));
    time += 1;
    for (const auto& lease : {anna, boris}) CompleteAll(table, *lease, At(time));
  }
  return time;
}

TEST_CASE("what a late worker holds is leased again when nothing else is left, not before, and not for ever") {
  LeaseTable table(OneEach(11), Ledger());
  const double time = TrainTogether(&table, 8);
  const auto late = table.Acquire(kAnna, 2, At(time));
  // There is other work.
  for (int i = 0; i < 2; ++i) {
    const auto other = table.Acquire(kBoris, 2, At(time + 10 + i));
    REQUIRE(other.has_value());
    CHECK(other->range.begin == late->range.begin + 1 + static_cast<uint64_t>(i));
    CompleteAll(&table, *other, At(time + 10 + i));
  }
  CHECK(table.speculative() == 0);
  const auto again = table.Acquire(kBoris, 2, At(time + 12));
  REQUIRE(again.has_value());
  CHECK(again->range == late->range);
  CHECK(table.speculative() == 1);
  // The second is in time.
  CHECK_FALSE(table.Acquire(3, 3, At(time + 13)).has_value());
  SECTION("the second is first") {
    CompleteAll(&table, *again, At(time + 13));
    CHECK(table.Complete(kAnna, late->range.begin, 0, At(time + 14)) == LeaseTable::News::kNothing);
    CHECK(table.TakeRevoked(kAnna) == std::vector<uint64_t>{late->id});
    CHECK(table.speculative_wasted() == 0);
  }
  SECTION("the first is first") {
    CompleteAll(&table, *late, At(time + 13));
    CHECK(table.TakeRevoked(kBoris) == std::vector<uint64_t>{again->id});
    CHECK(table.speculative_wasted() == 1);
  }
  SECTION("the second is late as well") {
    CHECK(table.Acquire(3, 3, At(time + 30))->range == late->range);
    CHECK(table.speculative() == 2);
    return;
  }
  CHECK(table.complete());
  CHECK(table.releases() == 0);
}

TEST_CASE("a worker that is slow as ever is not late") {
  LeaseTable table(OneEach(4), Ledger());
  // Ten seconds each.
  for (uint64_t t = 0; t < 3; ++t) {
    const auto lease = table.Acquire(kAnna, 2, At(10.0 * static_cast<double>(t)));
    CompleteAll(&table, *lease, At(10.0 * static_cast<double>(t + 1)));
  }
  REQUIRE(table.Acquire(kAnna, 2, At(30)).has_value());
  CHECK_FALSE(table.Acquire(kBoris, 2, At(49)).has_value());
  CHECK(table.Acquire(kBoris, 2, At(51)).has_value());
}

TEST_CASE("a worker that has done nothing yet is late by what others take") {
  LeaseTable table(OneEach(5), Ledger());
  const auto late = table.Acquire(kBoris, 2, At(0));
  for (uint64_t t = 0; t < 4; ++t) CompleteAll(&table, *table.Acquire(kAnna, 2, At(2.0 * t)), At(2.0 * t + 2));
  CHECK(table.Acquire(kAnna, 2, At(8))->range == late->range);
}

TEST_CASE("of a late range no more is leased again than nobody else has") {
  LeaseTable::Options options = Small(1000);
  LeaseTable table(options, Ledger());
  table.SetLimit(4);
  const auto late = table.Acquire(kAnna, 1, At(0));
  REQUIRE(late->range == IterationRange{0, 4});
  // Nobody has a pace: a lease's term is waited for.
  CHECK_FALSE(table.Acquire(kBoris, 3, At(5)).has_value());
  const auto all = table.Acquire(kBoris, 3, At(7));
  CHECK(all->range == IterationRange{0, 4});
  CHECK_FALSE(table.Acquire(3, 3, At(7)).has_value());
  table.Release(all->id);
  CHECK(table.Acquire(3, 3, At(7))->range == IterationRange{0, 4});
}

TEST_CASE("with a delay, one of those that wait for a late worker is revoked, and does what it holds") {
  LeaseTable::Options options = OneEach(1000);
  options.delay = 1;
  LeaseTable table(options, Ledger());
  const double time = TrainTogether(&table, 8);
  const auto late = table.Acquire(kAnna, 2, At(time));
  const auto next = table.Acquire(kBoris, 2, At(time));
  CompleteAll(&table, *next, At(time + 1));
  const auto waits = table.Acquire(kBoris, 2, At(time + 1));
  REQUIRE(waits->range.begin == late->range.begin + 2);
  table.Expire(At(time + 1.5));
  CHECK(table.Holds(kBoris, waits->id));
  // By heartbeats it is alive.
  for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(time + 3.5));
  table.Expire(At(time + 3.5));
  CHECK(table.TakeRevoked(kBoris) == std::vector<uint64_t>{waits->id});
  CHECK(table.Holds(kAnna, late->id));
  const auto again = table.Acquire(kBoris, 2, At(time + 4));
  CHECK(again->range == late->range);
  CHECK(table.speculative() == 1);
  // Once is enough.
  table.Expire(At(time + 4.5));
  CHECK(table.Holds(kBoris, again->id));
  CompleteAll(&table, *again, At(time + 5));
  CHECK(table.Acquire(kBoris, 2, At(time + 5))->range == waits->range);
}

TEST_CASE("with a delay, whoever is idle does what a late worker holds, and nobody is revoked") {
  LeaseTable::Options options = OneEach(1000);
  options.delay = 1;
  LeaseTable table(options, Ledger());
  const double time = TrainTogether(&table, 8);
  const auto late = table.Acquire(kAnna, 3, At(time));
  CompleteAll(&table, *table.Acquire(kBoris, 3, At(time)), At(time + 1));
  const auto waits = table.Acquire(kBoris, 3, At(time + 1));
  for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(time + 3.5));
  CHECK(table.Acquire(3, 3, At(time + 3.5))->range == late->range);
  table.Expire(At(time + 3.5));
  CHECK(table.Holds(kBoris, waits->id));
  CHECK(table.TakeRevoked(kBoris).empty());
}

}  // namespace
}  // namespace samovar
