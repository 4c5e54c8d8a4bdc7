#include "server/leases/part_table.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "tests/server/leases/renew_all.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kAnna = 1;
constexpr uint64_t kBoris = 2;
constexpr uint64_t kClara = 3;

using Lease = TrainLeases::Lease;
using News = TrainLeases::News;
using Parts = std::vector<uint32_t>;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

PartTable TableOf(uint64_t max_iter, uint32_t parts) {
  TrainLeases::Options options;
  options.max_iter = max_iter;
  return PartTable(options, parts, Ledger());
}

// The workers have asked for work before; then everything is dealt anew.
void Meet(PartTable* table, const std::vector<uint64_t>& workers) {
  for (uint64_t worker : workers) table->Acquire(worker, 1, At(0));
  for (const Lease& lease : table->LeasesOf(workers[0])) table->Release(lease.id);
  for (uint64_t worker : workers) table->TakeRevoked(worker);
}

void CompleteAll(PartTable* table, const Lease& lease, absl::Time now) {
  for (uint64_t t = lease.range.begin; t < lease.range.end; ++t) {
    for (uint32_t part : lease.parts) table->Complete(lease.worker, t, part, now);
  }
}

TEST_CASE("workers share the parts of the same iterations") {
  PartTable table = TableOf(100, 8);
  Meet(&table, {kAnna, kBoris, kClara});
  const auto anna = table.Acquire(kAnna, 3, At(0));
  const auto boris = table.Acquire(kBoris, 3, At(0));
  const auto clara = table.Acquire(kClara, 3, At(0));
  CHECK(anna->parts == Parts{0, 1, 2});
  CHECK(boris->parts == Parts{3, 4, 5});
  CHECK(clara->parts == Parts{6, 7});
  CHECK(anna->range == boris->range);
  CHECK(anna->range == clara->range);
  CHECK(anna->range.begin == 0);
}

TEST_CASE("each round is dealt by what parts have taken the workers by then") {
  PartTable table = TableOf(100, 8);
  Meet(&table, {kAnna, kBoris});
  auto anna = table.Acquire(kAnna, 2, At(0));
  auto boris = table.Acquire(kBoris, 2, At(0));
  CHECK(anna->parts == Parts{0, 1, 2, 3});
  CHECK(boris->parts == Parts{4, 5, 6, 7});
  table.TookForPart(kAnna, absl::Seconds(0.1), At(1));
  table.TookForPart(kBoris, absl::Seconds(0.2), At(1));
  CompleteAll(&table, *anna, At(1));
  // The next round, which begins before Boris is done with his share.
  anna = table.Acquire(kAnna, 2, At(1));
  CHECK(anna->parts == Parts{0, 1, 2, 3, 4, 5});
  CompleteAll(&table, *boris, At(2));
  boris = table.Acquire(kBoris, 2, At(2));
  CHECK(boris->parts == Parts{6, 7});
  // Far too slow for a part now: the other has all, and he waits.
  for (int i = 0; i < 50; ++i) table.TookForPart(kBoris, absl::Seconds(5), At(2));
  CompleteAll(&table, *anna, At(3));
  CompleteAll(&table, *boris, At(3));
  CHECK_FALSE(table.Acquire(kBoris, 2, At(3)).has_value());
  CHECK(table.Acquire(kAnna, 2, At(3))->parts == Parts{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK_FALSE(table.Acquire(kBoris, 2, At(3)).has_value());
}

TEST_CASE("an iteration is done when all of its parts are, each counted once") {
  PartTable table = TableOf(100, 2);
  const auto anna = table.Acquire(kAnna, 2, At(0));
  table.Acquire(kBoris, 2, At(0));
  CHECK(table.Complete(kAnna, 0, 0, At(1)) == News::kPart);
  CHECK(table.Complete(kAnna, 0, 0, At(1)) == News::kNothing);
  CHECK(table.Complete(kAnna, 0, 2, At(1)) == News::kNothing);
  CHECK(table.done().size() == 0);
  CHECK(table.Complete(kBoris, 0, 1, At(1)) == News::kIteration);
  CHECK(table.Complete(kBoris, 0, 1, At(1)) == News::kNothing);
  CHECK(table.Complete(kBoris, 100, 1, At(1)) == News::kNothing);
  CHECK(table.done().watermark() == 1);
}

TEST_CASE("who is done with a round begins the next, but not the one after it") {
  PartTable table = TableOf(100, 2);
  Meet(&table, {kAnna, kBoris});
  const auto first = table.Acquire(kAnna, 2, At(0));
  const auto other = table.Acquire(kBoris, 2, At(0));
  CompleteAll(&table, *first, At(1));
  const auto second = table.Acquire(kAnna, 2, At(1));
  CHECK(second->range.begin == first->range.end);
  CHECK(second->parts == Parts{0});
  // There is a part left of the second round, and then nothing before the first one is done.
  CHECK(table.Acquire(kClara, 2, At(1))->parts == Parts{1});
  CHECK_FALSE(table.Acquire(4, 2, At(1)).has_value());
  CompleteAll(&table, *other, At(1));
  CHECK(table.Acquire(kBoris, 2, At(1))->range.begin == second->range.end);
}

TEST_CASE("when a worker is lost all others are revoked, and everything is dealt anew") {
  PartTable table = TableOf(100, 4);
  Meet(&table, {kAnna, kBoris});
  const uint64_t before = table.releases();
  const auto anna = table.Acquire(kAnna, 2, At(0));
  const auto boris = table.Acquire(kBoris, 2, At(0));
  CHECK(table.Leases().size() == table.LeasesOf(kAnna).size() + table.LeasesOf(kBoris).size());
  for (uint32_t part = 0; part < 4; ++part) table.Complete(part < 2 ? kAnna : kBoris, 0, part, At(1));
  table.Complete(kBoris, 1, 2, At(1));
  SECTION("it left") { table.ReleaseWorker(kAnna); }
  SECTION("it failed") { table.Release(anna->id); }
  SECTION("it was silent") {
    RenewAll(&table, kBoris, At(8));
    table.Expire(At(9));
  }
  CHECK(table.TakeRevoked(kBoris) == std::vector<uint64_t>{boris->id});
  CHECK(table.LeasesOf(kBoris).empty());
  CHECK(table.releases() == before + 2);
  table.ReleaseWorker(kAnna);
  const auto again = table.Acquire(kBoris, 1, At(9));
  CHECK(again->range.begin == 1);
  CHECK(again->parts == Parts{0, 1, 2, 3});
  // Parts of it that are done already are not counted twice.
  CHECK(table.Complete(kBoris, 1, 2, At(10)) == News::kNothing);
}

TEST_CASE("a lease that its worker does not name runs out, for the answer that brought it was lost") {
  PartTable table = TableOf(100, 4);
  Meet(&table, {kAnna, kBoris});
  const auto anna = table.Acquire(kAnna, 2, At(0));
  const auto boris = table.Acquire(kBoris, 2, At(0));
  for (double time = 1; time < 7; ++time) {
    table.Renew(kAnna, anna->id, At(time));
    // Nor does another worker's name help.
    table.Renew(kAnna, boris->id, At(time));
    table.Renew(kBoris, boris->id + 100, At(time));
  }
  table.Expire(At(7));
  CHECK_FALSE(table.Holds(kBoris, boris->id));
}

TEST_CASE("parts that were left for a worker that does not come are dealt to those that wait for them") {
  PartTable table = TableOf(100, 4);
  Meet(&table, {kAnna, kBoris});
  const auto half = table.Acquire(kAnna, 2, At(10));
  REQUIRE(half->parts == Parts{0, 1});
  SECTION("it is lost, though it held nothing") { table.ReleaseWorker(kBoris); }
  SECTION("it lives, but does not ask") {
    for (double time = 10; time < 12; time += 0.25) {
      RenewAll(&table, kAnna, At(time));
      table.Expire(At(time));
      CHECK(table.Holds(kAnna, half->id));
    }
    table.Expire(At(12.5));
  }
  CHECK_FALSE(table.Holds(kAnna, half->id));
  CHECK(table.TakeRevoked(kAnna) == std::vector<uint64_t>{half->id});
  CHECK(table.Acquire(kAnna, 2, At(12.5))->parts == Parts{0, 1, 2, 3});
}

TEST_CASE("a worker that is too slow for a share has all, where nobody comes for them") {
  PartTable table = TableOf(100, 8);
  Meet(&table, {kAnna, kBoris});
  table.TookForPart(kAnna, absl::Seconds(0.1), At(9));
  table.TookForPart(kBoris, absl::Seconds(5), At(9));
  // Anna is busy with something else, a test for example.
  CHECK_FALSE(table.Acquire(kBoris, 2, At(10)).has_value());
  table.Expire(At(11));
  CHECK_FALSE(table.Acquire(kBoris, 2, At(11)).has_value());
  table.Expire(At(12.5));
  const auto boris = table.Acquire(kBoris, 2, At(12.5));
  REQUIRE(boris.has_value());
  CHECK(boris->parts == Parts{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("who is busy with an earlier round is waited for") {
  PartTable table = TableOf(100, 4);
  Meet(&table, {kAnna, kBoris});
  const auto first = table.Acquire(kAnna, 2, At(0));
  const auto busy = table.Acquire(kBoris, 2, At(0));
  CompleteAll(&table, *first, At(1));
  const auto second = table.Acquire(kAnna, 2, At(1));
  for (double time = 1; time < 60; ++time) {
    RenewAll(&table, kAnna, At(time));
    RenewAll(&table, kBoris, At(time));
    table.Expire(At(time));
  }
  CHECK(table.Holds(kBoris, busy->id));
  CHECK(table.Holds(kAnna, second->id));
  CHECK_FALSE(table.Holds(kBoris, second->id));
}

TEST_CASE("a worker that asks again has reported on another way, or has never had its lease") {
  PartTable table = TableOf(100, 2);
  const auto lost = table.Acquire(kAnna, 1, At(0));
  CHECK_FALSE(table.Acquire(kAnna, 1, At(5)).has_value());
  SECTION("the report comes") {
    CompleteAll(&table, *lost, At(5.1));
    CHECK(table.Acquire(kAnna, 1, At(5.2))->range.begin == lost->range.end);
  }
  SECTION("the answer was lost") {
    CHECK_FALSE(table.Acquire(kAnna, 1, At(5.9)).has_value());
    CHECK(table.Acquire(kAnna, 1, At(6.1))->id == lost->id);
  }
}

TEST_CASE("nothing is leased at the limit, and no part that all chunks hold") {
  Ledger done;
  done.AddRange(0, 10);
  done.AddRange(12, 14);
  TrainLeases::Options options;
  options.max_iter = 30;
  PartTable table(options, 2, done);
  table.SetLimit(10);
  CHECK_FALSE(table.Acquire(kAnna, 1, At(0)).has_value());
  table.SetLimit(15);
  const auto first = table.Acquire(kAnna, 1, At(0));
  CHECK(first->range == IterationRange{10, 12});
  CompleteAll(&table, *first, At(1));
  const auto second = table.Acquire(kAnna, 1, At(1));
  CHECK(second->range == IterationRange{14, 15});
  CompleteAll(&table, *second, At(2));
  table.AddMissing({{13, 14}});
  CHECK(table.done().watermark() == 13);
  CHECK(table.Acquire(kAnna, 1, At(2))->range == IterationRange{13, 14});
}

TEST_CASE("whatever workers do, all parts of all iterations get done") {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const uint32_t parts = 1 + random() % 6;
    PartTable table = TableOf(60, parts);
    std::map<uint64_t, Lease> held;
    double time = 0;
    while (!table.complete()) {
      time += static_cast<double>(random() % 200) / 1000;
      const uint64_t worker = 1 + random() % 4;
      switch (random() % 12) {
        case 0:
          if (random() % 4 == 0) {
            held.erase(worker);
            table.ReleaseWorker(worker);
          }
          break;
        case 1:
          table.Expire(At(time));
          break;
        default:
          RenewAll(&table, worker, At(time));
          for (uint64_t id : table.TakeRevoked(worker)) {
            if (held.contains(worker) && held[worker].id == id) held.erase(worker);
          }
          if (!held.contains(worker)) {
            if (const auto lease = table.Acquire(worker, 4, At(time))) held[worker] = *lease;
          } else {
            // Iterations are done in order: with a part of t it is known that all below t are in all chunks.
            const Lease& lease = held[worker];
            uint64_t t = lease.range.begin;
            while (t < lease.range.end && table.done().Contains(t)) ++t;
            if (t < lease.range.end && table.done().watermark() >= t) {
              for (uint32_t part : lease.parts) table.Complete(worker, t, part, At(time));
            }
            if (table.LeasesOf(worker).empty()) held.erase(worker);
          }
      }
      REQUIRE(time < 10000);
    }
  }
}

// Rounds of one iteration each, one a second, half of it Anna's and half of it Boris's. Returns the time.
double TrainTogether(PartTable* table, uint64_t rounds) {
  double time = 0;
  Meet(table, {kAnna, kBoris});
  for (uint64_t round = 0; round < rounds; ++round) {
    const auto anna = table->Acquire(kAnna, 2, At(time));
    const auto boris = table->Acquire(kBoris, 2, At(time));
    for (uint64_t t = anna->range.begin; t < anna->range.end; ++t) {
      time += 1;
      for (const auto& lease : {anna, boris}) {
        for (uint32_t part : lease->parts) table->Complete(lease->worker, t, part, At(time));
      }
    }
    for (const uint64_t worker : {kAnna, kBoris}) RenewAll(table, worker, At(time));
  }
  return time;
}

TEST_CASE("when all others wait for a late worker, everything is dealt anew among them") {
  PartTable table = TableOf(100, 4);
  const double time = TrainTogether(&table, 4);
  const auto anna = table.Acquire(kAnna, 2, At(time));
  const auto boris = table.Acquire(kBoris, 2, At(time));
  REQUIRE(anna->range.end - anna->range.begin == 1);
  const uint64_t t = anna->range.begin;
  for (const uint32_t part : anna->parts) table.Complete(kAnna, t, part, At(time + 1));
  table.Complete(kBoris, t, boris->parts[0], At(time + 1));
  // By heartbeats it is alive.
  const auto expire = [&](double when) {
    for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(when));
    table.Expire(At(when));
  };
  expire(time + 1.9);
  CHECK(table.Holds(kBoris, boris->id));
  expire(time + 2.5);
  CHECK_FALSE(table.Holds(kBoris, boris->id));
  CHECK(table.speculative() == 1);
  const auto again = table.Acquire(kAnna, 2, At(time + 3));
  REQUIRE(again.has_value());
  CHECK(again->range.begin == t);
  CHECK(again->parts == Parts{0, 1, 2, 3});
  SECTION("it stays away") {
    CompleteAll(&table, *again, At(time + 4));
    CHECK(table.speculative_wasted() == 0);
  }
  SECTION("it is first all the same") {
    CHECK(table.Complete(kBoris, t, boris->parts[1], At(time + 3.5)) == News::kIteration);
    CHECK(table.speculative_wasted() == 1);
    CompleteAll(&table, *again, At(time + 4));
    CHECK(table.speculative_wasted() == 1);
  }
  // It is welcome.
  const auto next = table.Acquire(kBoris, 2, At(time + 5));
  CHECK(next->parts == Parts{0, 1});
  CHECK(table.done().watermark() == t + 1);
}

TEST_CASE("who waits for others is not late with them, though all of its parts count as undone") {
  PartTable table = TableOf(100, 2);
  const double time = TrainTogether(&table, 4);
  const auto anna = table.Acquire(kAnna, 2, At(time));
  const auto boris = table.Acquire(kBoris, 2, At(time));
  for (double when = time; when < time + 4; when += 0.5) {
    for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(when));
    table.Waits(kAnna, At(when));
    table.Expire(At(when));
  }
  CHECK_FALSE(table.Holds(kBoris, boris->id));
  CHECK(table.TakeLate() == std::vector<uint64_t>{kBoris});
  CHECK(table.TakeLate().empty());
  CHECK(table.Acquire(kAnna, 2, At(time + 4))->parts == Parts{0, 1});
  CHECK_FALSE(table.Holds(kAnna, anna->id));
}

TEST_CASE("a worker that waits for a server is late at once if another one, which all servers answer, waits for it") {
  PartTable table = TableOf(100, 2);
  const double time = TrainTogether(&table, 4);
  const auto anna = table.Acquire(kAnna, 2, At(time));
  const auto boris = table.Acquire(kBoris, 2, At(time));
  CompleteAll(&table, *anna, At(time + 0.5));
  REQUIRE(table.Acquire(kAnna, 2, At(time + 0.5)).has_value());
  const auto expire = [&](double when) {
    for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(when));
    table.Expire(At(when));
  };
  table.WaitsForServer(kBoris, At(time + 1));
  SECTION("the server may be silent to all") {
    table.WaitsForServer(kAnna, At(time + 1));
    expire(time + 1.1);
    CHECK(table.Holds(kBoris, boris->id));
  }
  SECTION("it is not for the server that Boris waits any more") {
    table.Waits(kAnna, At(time + 1));
    table.Waits(kBoris, At(time + 1));
    expire(time + 1.1);
    CHECK(table.Holds(kBoris, boris->id));
  }
  SECTION("Anna waits for Boris, though he waited for her before") {
    table.Waits(kBoris, At(time + 0.9));
    table.WaitsForServer(kBoris, At(time + 1));
    table.Waits(kAnna, At(time + 1));
    expire(time + 1.1);
    CHECK_FALSE(table.Holds(kBoris, boris->id));
    CHECK(table.TakeLate() == std::vector<uint64_t>{kBoris});
    CHECK(table.Acquire(kAnna, 2, At(time + 1.2))->parts == Parts{0, 1});
    // It is left out for a while.
    CHECK_FALSE(table.Acquire(kBoris, 2, At(time + 1.3)).has_value());
  }
}

TEST_CASE("a worker that is late again and again is left out for longer and longer, but not when it is the only one") {
  PartTable table = TableOf(1000000, 2);
  double time = TrainTogether(&table, 4);
  const double begin = time;
  int idle = 0;
  // Boris can do nothing, and asks for work all the time; Anna does all that she is given within a tenth of a second.
  while (time < begin + 100) {
    table.Acquire(kBoris, 2, At(time));
    const auto anna = table.Acquire(kAnna, 2, At(time));
    idle += anna.has_value() ? 0 : 1;
    time += 0.1;
    for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(time));
    if (anna.has_value()) CompleteAll(&table, *anna, At(time));
    table.TakeRevoked(kBoris);
    table.Expire(At(time));
  }
  // Some two seconds are lost each time that Boris is given a share: after 2, 4, 8, 16, 32 s.
  CHECK(table.speculative() > 0);
  CHECK(idle > 0);
  CHECK(idle < 200);
  table.ReleaseWorker(kAnna);
  // One that holds a lease is asked twice whether it knows of it.
  const bool at_once = table.Acquire(kBoris, 1, At(time)).has_value();
  CHECK((at_once || table.Acquire(kBoris, 1, At(time + 1.5)).has_value()));
}

TEST_CASE("an iteration may take longer than a lease may stall: the time is doubled each time") {
  PartTable table = TableOf(100, 1);
  constexpr double kIterationSeconds = 1500;
  double time = 0;
  int stalls = 0;
  while (table.done().size() == 0 && stalls < 10) {
    const auto lease = table.Acquire(kAnna, 1, At(time));
    REQUIRE(lease.has_value());
    const double end = time + kIterationSeconds;
    for (; time < end && table.Holds(kAnna, lease->id); time += 5) {
      RenewAll(&table, kAnna, At(time));
      table.Expire(At(time));
    }
    if (table.Holds(kAnna, lease->id)) {
      table.Complete(kAnna, 0, 0, At(time));
    } else {
      ++stalls;
    }
    table.TakeRevoked(kAnna);
  }
  CHECK(table.done().size() == 1);
  CHECK(stalls == 2);
}

TEST_CASE("where all are late nobody is, and a pace that is slow is no lateness") {
  PartTable table = TableOf(100, 2);
  const double time = TrainTogether(&table, 4);
  const auto anna = table.Acquire(kAnna, 2, At(time));
  const auto boris = table.Acquire(kBoris, 2, At(time));
  for (double when = time; when < time + 20; when += 0.5) {
    for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(when));
    table.Expire(At(when));
    REQUIRE(table.Holds(kAnna, anna->id));
    REQUIRE(table.Holds(kBoris, boris->id));
  }
  CHECK(table.speculative() == 0);
}

TEST_CASE("one after the other, what a late worker holds goes to the one whose turn is next") {
  PartTable table = TableOf(100, 1);
  Meet(&table, {kAnna, kBoris});
  double time = 0;
  for (int round = 0; round < 4; ++round) {
    const auto lease = table.Acquire(round % 2 == 0 ? kAnna : kBoris, 2, At(time));
    for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) table.Complete(lease->worker, t, 0, At(time += 1));
  }
  const auto late = table.Acquire(kAnna, 2, At(time));
  const auto next = table.Acquire(kBoris, 2, At(time));
  REQUIRE(next->range.begin == late->range.end);
  for (const uint64_t worker : {kAnna, kBoris}) RenewAll(&table, worker, At(time + 2.5));
  table.Expire(At(time + 2.5));
  CHECK(table.TakeRevoked(kBoris) == std::vector<uint64_t>{next->id});
  CHECK(table.Acquire(kBoris, 2, At(time + 3))->range.begin == late->range.begin);
  CHECK(table.speculative() == late->range.end - late->range.begin);
}

}  // namespace
}  // namespace samovar
