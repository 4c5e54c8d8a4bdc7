#include "server/leases/partition_affinity.h"

#include <algorithm>
#include <optional>
#include <random>
#include <tuple>
#include <vector>

#include "server/leases/lease_table.h"
#include "server/leases/unit_leases.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint32_t kBlock = 32;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TrainLeases::Options Stored(uint64_t max_iter, uint32_t partitions, uint32_t block = kBlock, uint64_t records = 1001) {
  TrainLeases::Options options;
  options.max_iter = max_iter;
  IterationSchedule::Options schedule;
  schedule.records = records;
  schedule.batch_size = 1;
  schedule.partitions = partitions;
  schedule.block = block;
  options.schedule = *IterationSchedule::Create(schedule);
  return options;
}

// Workers that compute what they are leased, each at its own pace, and have the partitions that they used last at hand.
class Workers {
 public:
  Workers(TrainLeases* leases, const TrainLeases::Options& options, std::vector<double> seconds_each, size_t cached = 1)
      : leases_(leases), options_(options), cached_(cached) {
    for (const double seconds : seconds_each) workers_.push_back({seconds, 0, std::nullopt, 0, {}});
  }

  // Until all is done.
  void Run(std::mt19937* random) {
    for (int step = 0; step < 1'000'000 && !leases_->complete(); ++step) {
      Worker& next = *std::min_element(workers_.begin(), workers_.end(),
                                       [](const Worker& a, const Worker& b) { return a.free < b.free; });
      const uint64_t id = 1 + static_cast<uint64_t>(&next - workers_.data());
      now_ = next.free;
      if (next.lease.has_value() && options_.delay.has_value() &&
          leases_->done().watermark() + *options_.delay < next.t) {
        next.free += 0.01;
        waited_ += 0.01;
        continue;
      }
      if (next.lease.has_value()) {
        leases_->Complete(id, next.t++, 0, At(now_));
        if (next.t == next.lease->range.end) next.lease.reset();
      }
      if (!next.lease.has_value()) Acquire(&next, id);
      next.free += next.lease.has_value() ? next.seconds * std::uniform_real_distribution(0.8, 1.2)(*random) : 0.05;
      if (!next.lease.has_value()) waited_ += 0.05;
    }
    REQUIRE(leases_->complete());
  }

  double hits() const { return static_cast<double>(hits_) / static_cast<double>(leased_count_); }
  double time() const { return now_; }
  double waited() const { return waited_; }

 private:
  struct Worker {
    double seconds;
    double free;
    std::optional<TrainLeases::Lease> lease;
    uint64_t t;
    std::vector<uint32_t> cache;
  };

  void Acquire(Worker* worker, uint64_t id) {
    worker->lease = leases_->Acquire(id, workers_.size(), At(now_));
    if (!worker->lease.has_value()) return;
    const IterationRange range = worker->lease->range;
    worker->t = range.begin;
    REQUIRE(range.begin < range.end);
    const IterationSchedule& schedule = *options_.schedule;
    // Within a block, and within the window.
    REQUIRE(range.begin / schedule.options().block == (range.end - 1) / schedule.options().block);
    REQUIRE(range.end <= leases_->done().watermark() + options_.window);
    for (uint64_t t = range.begin; t < range.end; ++t) seen_.Add(t);
    // The lowest comes to its turn before others are half a window further.
    REQUIRE(range.begin < seen_.watermark() + options_.window / 2 + 1);
    ++leased_count_;
    const uint32_t partition = schedule.PartitionOf(range.begin);
    const auto cached = std::find(worker->cache.begin(), worker->cache.end(), partition);
    if (cached != worker->cache.end()) {
      ++hits_;
      worker->cache.erase(cached);
    }
    worker->cache.insert(worker->cache.begin(), partition);
    if (worker->cache.size() > cached_) worker->cache.pop_back();
  }

  TrainLeases* const leases_;
  const TrainLeases::Options options_;
  const size_t cached_;
  std::vector<Worker> workers_;
  Ledger seen_;
  double now_ = 0;
  double waited_ = 0;
  uint64_t hits_ = 0;
  uint64_t leased_count_ = 0;
};

TEST_CASE("what a worker had last suits it best, then what it had before, then what nobody had") {
  PartitionAffinity affinity;
  affinity.Had(1, 5);
  affinity.Had(1, 6);
  affinity.Had(2, 7);
  CHECK(affinity.RankOf(1, 6) < affinity.RankOf(1, 5));
  CHECK(affinity.RankOf(1, 5) < affinity.RankOf(1, 8));
  CHECK(affinity.RankOf(1, 8) < affinity.RankOf(1, 7));
  CHECK(affinity.RankOf(3, 8) < affinity.RankOf(3, 5));
  affinity.Had(1, 5);
  CHECK(affinity.RankOf(1, 5) < affinity.RankOf(1, 6));
  affinity.Forget(1);
  CHECK(affinity.RankOf(2, 5) == affinity.RankOf(2, 8));
}

TEST_CASE("no more partitions are remembered of a worker than were said") {
  PartitionAffinity affinity;
  for (uint32_t partition = 0; partition < 1000; ++partition) affinity.Had(1, partition);
  const auto unknown = affinity.RankOf(1, 5000);
  for (uint32_t partition = 0; partition < 1000; ++partition) {
    CHECK((affinity.RankOf(1, partition) < unknown) == (partition >= 1000 - PartitionAffinity::kRemembered));
    // A partition that is forgotten counts as one that no worker had.
    CHECK((affinity.RankOf(2, partition) == unknown) == (partition < 1000 - PartitionAffinity::kRemembered));
  }
}

TEST_CASE("workers stay with their partitions, whatever their pace, and nobody is idle for it") {
  struct Case {
    std::vector<double> seconds;
    uint32_t partitions;
    double hits;
  };
  const std::vector<double> alike = {0.05, 0.05, 0.05, 0.05};
  for (const Case& test : std::vector<Case>{{alike, 4, 0.9},
                                            {alike, 16, 0.6},
                                            {{0.05, 0.05, 0.05, 0.1}, 4, 0.75},
                                            {{0.05, 0.05}, 3, 0.75},
                                            {{0.05}, 4, 0.9}}) {
    std::mt19937 random(1);
    const TrainLeases::Options options = Stored(20'000, test.partitions);
    LeaseTable table(options, Ledger());
    Workers workers(&table, options, test.seconds);
    workers.Run(&random);
    INFO(test.seconds.size() << " workers, " << test.partitions << " partitions: " << workers.hits() << " in "
                             << workers.time() << " s");
    CHECK(workers.hits() >= test.hits);
    double rate = 0;
    for (const double seconds : test.seconds) rate += 1 / seconds;
    CHECK(workers.time() < 20'000 / rate * 1.02 + 1);
    CHECK(table.releases() == 0);
  }
}

TEST_CASE("with a delay, nobody waits for what nobody computes, and partitions are kept where the delay allows it") {
  for (const auto& [delay, workers, hits] : std::vector<std::tuple<uint64_t, size_t, double>>{
           {1, 2, 0}, {4, 3, 0}, {31, 2, 0}, {40, 2, 0}, {100, 4, 0}, {600, 4, 0.75}}) {
    std::mt19937 random(3);
    TrainLeases::Options options = Stored(4'000, 4);
    options.delay = delay;
    LeaseTable table(options, Ledger());
    Workers group(&table, options, std::vector<double>(workers, 0.05));
    group.Run(&random);
    INFO("delay " << delay << ", " << workers << " workers: " << group.hits() << " in " << group.time() << " s");
    CHECK(group.hits() >= hits);
    if (delay >= 100) CHECK(group.waited() < 0.1 * group.time() * static_cast<double>(workers));
  }
}

TEST_CASE("whatever workers do and lose, every iteration of a partitioned set is done in the end") {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const uint32_t block = 1 + random() % 20;
    TrainLeases::Options options = Stored(300, 1 + random() % 7, block, 50);
    options.window = 16 + random() % 100;
    if (seed % 3 == 0) options.delay = 1 + random() % 60;
    Ledger done;
    for (int i = 0; i < 3; ++i) {
      const uint64_t begin = random() % 280;
      if (seed % 2 == 0) done.AddRange(begin, begin + random() % 20);
    }
    LeaseTable table(options, done);
    std::vector<TrainLeases::Lease> held;
    double time = 0;
    const auto take = [&](uint64_t worker) {
      const uint64_t speculative = table.speculative();
      const auto lease = table.Acquire(worker, 4, At(time));
      if (!lease.has_value()) return;
      REQUIRE(lease->range.begin < lease->range.end);
      REQUIRE(lease->range.end <= 300);
      REQUIRE(lease->range.begin / block == (lease->range.end - 1) / block);
      // Iterations of a late worker may have been leased before others were found missing.
      if (table.speculative() == speculative) REQUIRE(lease->range.end <= table.done().watermark() + options.window);
      held.push_back(*lease);
    };
    for (int step = 0; step < 20'000 && !table.complete(); ++step) {
      time += 0.05;
      const uint64_t worker = 1 + random() % 4;
      const uint32_t what = random() % 100;
      if (what < 50) {
        take(worker);
      } else if (what < 90 && !held.empty()) {
        const TrainLeases::Lease lease = held[random() % held.size()];
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
      const size_t before = held.size();
      take(9);
      if (held.size() == before) continue;
      for (uint64_t t = held.back().range.begin; t < held.back().range.end; ++t) table.Complete(9, t, 0, At(time));
    }
    INFO("seed " << seed);
    REQUIRE(table.complete());
  }
}

TEST_CASE("iterations that nobody skipped come first: a job without stored partitions is leased in order") {
  TrainLeases::Options options = Stored(1000, 4);
  options.schedule.reset();
  LeaseTable table(options, Ledger());
  uint64_t end = 0;
  for (uint64_t worker = 1; end < 1000; worker = 1 + worker % 3) {
    const auto lease = table.Acquire(worker, 3, At(0));
    REQUIRE(lease->range.begin == end);
    end = lease->range.end;
    for (uint64_t t = lease->range.begin; t < end; ++t) table.Complete(worker, t, 0, At(0));
  }
}

TEST_CASE("units of iterations keep within blocks and to partitions if they divide them, else they know of none") {
  for (const uint32_t push_every : {4u, 5u}) {
    std::mt19937 random(1);
    const TrainLeases::Options options = Stored(8'000, 4);
    UnitLeases leases(options, push_every, Ledger());
    uint64_t others = 0;
    uint64_t changes = 0;
    std::optional<uint32_t> last[2];
    double time = 0;
    while (!leases.complete()) {
      for (uint64_t worker = 1; worker <= 2; ++worker) {
        const auto lease = leases.Acquire(worker, 2, At(time));
        if (!lease.has_value()) continue;
        REQUIRE(lease->range.begin % push_every == 0);
        others += lease->range.begin / kBlock != (lease->range.end - 1) / kBlock;
        const uint32_t partition = options.schedule->PartitionOf(lease->range.begin);
        changes += last[worker - 1] != partition;
        last[worker - 1] = partition;
        for (uint64_t t = lease->range.begin; t < lease->range.end; ++t) leases.Complete(worker, t, 0, At(time));
      }
      time += 0.1;
    }
    INFO("push_every " << push_every << ": " << changes << " changes");
    CHECK((others == 0) == (push_every == 4));
    if (push_every == 4) CHECK(changes < 8'000 / kBlock / 2);
  }
}

}  // namespace
}  // namespace samovar
