// Random schedules: workers whose messages are late, come twice, in another order or not at all, and who are lost in
// between. Whatever happens, each chunk has each iteration once, in sync mode with the same bits, clipped or not, in
// bounded mode from weights that are not too old.
#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/model/gradient_clip.h"
#include "server/solver/solver_rule.h"
#include "server/store/chunk_store.h"
#include "tests/server/store/exchange_call.h"
#include "tests/server/store/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/consistency.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using Weights = std::vector<float>;

constexpr uint64_t kIterations = 8;
// Above the norm of some iterations' gradients, below that of others.
constexpr float kLimit = 16;
constexpr int kPasses = 3;

// Momentum and a rate that is no power of two: rounding depends on everything.
v1::OpenJobRequest JobOf(uint32_t parts, bool clips = false) {
  v1::OpenJobRequest job = MakeJob();
  job.mutable_solver()->set_max_iter(kIterations);
  job.mutable_solver()->set_base_lr(0.03f);
  job.mutable_solver()->set_momentum(0.9f);
  *job.mutable_consistency() = SyncIn(parts);
  if (clips) job.mutable_solver()->set_clip_gradients(kLimit);
  if (clips) job.mutable_solver()->set_iter_size(kPasses);
  return job;
}

struct Cell {
  uint64_t t;
  uint32_t part;
  auto operator<=>(const Cell&) const = default;
};

// Depends on the weights of all chunks, so that one that is too new anywhere shows everywhere.
Weights GradientOf(const Cell& cell, const Weights& weights) {
  const float shared = weights[0] + weights[kChunkElements] + weights[2 * kChunkElements];
  const float own = 0.1f + 0.37f * static_cast<float>(cell.part) + 0.011f * static_cast<float>(cell.t);
  Weights gradient(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) gradient[i] = own * weights[i] + 0.01f * shared;
  return gradient;
}

// The gradients of the parts in [first, first + places), half by half.
Weights SumOf(uint64_t t, uint32_t first, uint32_t places, uint32_t parts, const Weights& weights) {
  if (places == 1) return GradientOf({t, first}, weights);
  Weights sum = SumOf(t, first, places / 2, parts, weights);
  if (first + places / 2 >= parts) return sum;
  const Weights more = SumOf(t, first + places / 2, places / 2, parts, weights);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
  return sum;
}

// The result of one worker without servers.
Weights Reference(uint32_t parts, Weights weights, std::optional<float> limit = {}) {
  auto rule = SolverRule::Create(JobOf(parts).solver());
  REQUIRE_OK(rule);
  Weights history(weights.size());
  const std::vector<std::span<float>> state = {history};
  for (uint64_t t = 0; t < kIterations; ++t) {
    Weights sum = SumOf(t, 0, std::bit_ceil(parts), parts, weights);
    for (float& value : sum) value /= static_cast<float>(parts);
    if (limit.has_value()) {
      std::vector<double> squares(SquaresBlocks(sum.size()));
      AddSquares(sum, 0, sum.size(), squares);
      ClipAndDivide(*limit, NormOf(squares), kPasses, sum);
    }
    (*rule)->Apply(t, {0, static_cast<uint32_t>(sum.size())}, weights, state, sum);
  }
  return weights;
}

class Schedule {
 public:
  struct Mode {
    // As in OpenJobRequest.
    uint32_t parts = 0;
    uint64_t delay = 0;
    bool clips = false;
  };

  Schedule(SnapshotStore* snapshots, uint64_t seed, Mode mode)
      : mode_(mode), random_(seed), store_({.apply_threads = 2, .hold = absl::Hours(1)}, snapshots, &counts_) {
    v1::OpenJobResponse opened;
    REQUIRE_OK(store_.OpenJob(JobOf(mode.parts, mode.clips), &opened));
    workers_.resize(1 + random_() % 4);
    for (uint64_t t = 0; t < kIterations; ++t) {
      for (uint32_t part = 0; part < std::max(1u, mode.parts); ++part) undone_[{t, part}].insert({0, 1, 2});
    }
  }

  void Run() {
    Deal();
    while (!undone_.empty() || !messages_.empty() || (mode_.clips && LowestUnapplied() < kIterations)) Step();
  }

  Weights FinalWeights() {
    const v1::ExchangeResponse answer = Ask(MakePull());
    return WeightsIn(answer);
  }

  v1::GetLedgersResponse Ledgers() {
    v1::GetLedgersRequest request;
    request.set_job_id("job");
    v1::GetLedgersResponse response;
    REQUIRE_OK(store_.GetLedgers(request, &response));
    return response;
  }

 private:
  struct Worker {
    // Ascending.
    std::deque<Cell> cells;
    // The pull for the first of them that is under way, if any, and its answer, when it is there.
    std::shared_ptr<ExchangeCall> pull;
    bool answered = false;
  };
  struct Message {
    size_t worker;
    Cell cell;
    v1::ExchangeRequest request;
  };
  // Somebody who has asked for the squares of iteration t.
  struct Carrier {
    uint64_t t;
    std::shared_ptr<ExchangeCall> call;
    bool answered = false;
  };

  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }

  static Weights WeightsIn(const v1::ExchangeResponse& answer) {
    REQUIRE(answer.code() == 0);
    Weights weights;
    for (const v1::ChunkData& data : answer.weights()) {
      const Weights values = FloatsIn(data);
      weights.insert(weights.end(), values.begin(), values.end());
    }
    REQUIRE(weights.size() == kElements);
    return weights;
  }

  v1::ExchangeResponse Ask(const v1::ExchangeRequest& request) {
    const auto call = MakeCall(request);
    absl::Notification done;
    store_.Exchange(call, [&done](std::shared_ptr<ExchangeCall>) { done.Notify(); });
    done.WaitForNotification();
    return ResponseOf(*call);
  }

  // All that can be answered is answered. Twice, for a pull that has waited is posted anew.
  void Settle() {
    for (int i = 0; i < 2; ++i) Ledgers();
  }

  // Deals what is not done, some of it twice. Pulls that wait are given up; messages that are under way stay.
  void Deal() {
    for (Worker& worker : workers_) worker = Worker();
    for (const auto& [cell, chunks] : undone_) {
      workers_[random_() % workers_.size()].cells.push_back(cell);
      if (Chance(15)) workers_[random_() % workers_.size()].cells.push_back(cell);
    }
  }

  void Step() {
    if (losses_ < 3 && Chance(3)) return Lose(random_() % workers_.size());
    if (!messages_.empty() && Chance(60)) return Deliver(random_() % messages_.size());
    if (mode_.clips && carriers_.size() < 10 && Chance(20)) return StartCarrier(random_() % kIterations);
    if (mode_.clips && Chance(50) && Carry()) return;
    const size_t first = random_() % workers_.size();
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (Advance((first + i) % workers_.size())) return;
    }
    if (!messages_.empty()) return Deliver(random_() % messages_.size());
    if (mode_.clips) {
      if (Carry()) return;
      const uint64_t t = LowestUnapplied();
      if (undone_.lower_bound({t, 0}) == undone_.lower_bound({t + 1, 0})) return StartCarrier(t);
      return Deal();
    }
    // A push that was lost on its way: a worker computes it again.
    REQUIRE_FALSE(undone_.empty());
    REQUIRE(std::all_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.pull == nullptr; }));
    Deal();
  }

  uint64_t LowestUnapplied() {
    uint64_t lowest = kIterations;
    const v1::GetLedgersResponse ledgers = Ledgers();
    for (const v1::ChunkLedger& chunk : ledgers.ledgers()) lowest = std::min(lowest, chunk.ledger().watermark());
    return lowest;
  }

  void StartCarrier(uint64_t t) {
    v1::ExchangeRequest request;
    request.set_job_id("job");
    request.set_iteration(t);
    for (uint32_t chunk = 0; chunk < kChunks; ++chunk) request.add_squares(chunk);
    const auto carrier = std::make_shared<Carrier>(Carrier{t, MakeCall(request)});
    carriers_.push_back(carrier);
    store_.Exchange(carrier->call, [this, carrier](std::shared_ptr<ExchangeCall>) {
      absl::MutexLock lock(&mu_);
      carrier->answered = true;
    });
    Settle();
  }

  // Sends on what one of the carriers was answered. Whether there is one.
  bool Carry() {
    std::shared_ptr<Carrier> answered;
    {
      absl::MutexLock lock(&mu_);
      const auto found =
          std::find_if(carriers_.begin(), carriers_.end(), [](const auto& carrier) { return carrier->answered; });
      if (found == carriers_.end()) return false;
      answered = *found;
      carriers_.erase(found);
    }
    const v1::ExchangeResponse answer = ResponseOf(*answered->call);
    REQUIRE(answer.code() == 0);
    std::vector<double> sums;
    bool complete = true;
    for (const v1::ChunkSquares& squares : answer.squares()) {
      complete = complete && squares.sums_size() > 0;
      sums.insert(sums.end(), squares.sums().begin(), squares.sums().end());
    }
    if (!complete) {
      // As the protocol promises.
      REQUIRE(LowestUnapplied() > answered->t);
      return true;
    }
    for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      Message message{random_() % workers_.size(), {answered->t, 0}, {}};
      message.request.set_job_id("job");
      message.request.set_epoch(1);
      message.request.set_iteration(answered->t);
      message.request.set_apply(true);
      message.request.set_norm(NormOf(sums));
      message.request.add_pull(chunk);
      messages_.push_back(std::move(message));
    }
    return true;
  }

  // Half of what the worker has sent does not arrive.
  void Lose(size_t lost) {
    ++losses_;
    std::erase_if(messages_, [&](const Message& message) { return message.worker == lost && Chance(50); });
    Deal();
  }

  // Whether the worker could do anything.
  bool Advance(size_t number) {
    Worker& worker = workers_[number];
    if (worker.cells.empty()) return false;
    if (worker.pull == nullptr) {
      StartPull(&worker);
      return true;
    }
    {
      absl::MutexLock lock(&mu_);
      if (!worker.answered) return false;
    }
    Compute(number);
    return true;
  }

  void StartPull(Worker* worker) {
    const uint64_t t = worker->cells.front().t;
    v1::ExchangeRequest request = MakeWaitingPull(t - std::min(t, mode_.delay));
    std::shuffle(request.mutable_pull()->begin(), request.mutable_pull()->end(), random_);
    const auto call = MakeCall(request);
    worker->pull = call;
    store_.Exchange(call, [this, worker](std::shared_ptr<ExchangeCall> answered) {
      absl::MutexLock lock(&mu_);
      if (worker->pull == answered) worker->answered = true;
    });
    Settle();
  }

  void Compute(size_t number) {
    Worker& worker = workers_[number];
    const Cell cell = worker.cells.front();
    v1::ExchangeResponse answer = ResponseOf(*worker.pull);
    std::sort(answer.mutable_weights()->begin(), answer.mutable_weights()->end(),
              [](const v1::ChunkData& a, const v1::ChunkData& b) { return a.chunk() < b.chunk(); });
    const Weights gradient = GradientOf(cell, WeightsIn(answer));
    for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      const uint64_t version = answer.weights(static_cast<int>(chunk)).version();
      REQUIRE(version + mode_.delay >= cell.t);
      Message message{number, cell, {}};
      message.request.set_job_id("job");
      message.request.set_epoch(1);
      message.request.set_iteration(cell.t);
      message.request.set_part(cell.part);
      const auto begin = gradient.begin() + chunk * kChunkElements;
      AddPush(&message.request, chunk, {begin, begin + ChunkSize(chunk)});
      message.request.mutable_push(0)->set_version(version);
      messages_.push_back(std::move(message));
    }
    worker.cells.pop_front();
    worker.pull.reset();
    worker.answered = false;
  }

  void Deliver(size_t number) {
    std::swap(messages_[number], messages_.back());
    const Message message = messages_.back();
    if (!Chance(25)) messages_.pop_back();
    const v1::ExchangeResponse answer = Ask(message.request);
    INFO(answer.message());
    REQUIRE(answer.code() == 0);
    Settle();
    if (message.request.apply()) return;
    const auto undone = undone_.find(message.cell);
    if (undone == undone_.end()) {
      REQUIRE(answer.duplicates() == 1);
      return;
    }
    REQUIRE(answer.applied() == (undone->second.erase(message.request.push(0).chunk()) ? 1 : 0));
    if (undone->second.empty()) undone_.erase(undone);
  }

  const Mode mode_;
  std::mt19937_64 random_;
  // Cells, and the chunks that do not have them.
  std::map<Cell, std::set<uint32_t>> undone_;
  std::vector<Message> messages_;
  int losses_ = 0;
  absl::Mutex mu_;
  // `pull` and `answered` are written by the store's threads and read here, but only after Settle: guarded by mu_ all
  // the same.
  std::vector<Worker> workers_;
  // `answered` likewise.
  std::vector<std::shared_ptr<Carrier>> carriers_;
  Metrics metrics_;
  StoreMetrics counts_{&metrics_};
  // Last: its callbacks use the rest.
  ChunkStore store_;
};

class Schedules {
 public:
  Schedules() {
    auto snapshots = SnapshotStore::Open(dir_.File("snapshots"));
    REQUIRE_OK(snapshots);
    snapshots_ = *std::move(snapshots);
  }

  std::unique_ptr<Schedule> Run(uint64_t seed, Schedule::Mode mode) {
    INFO("seed " << seed);
    auto schedule = std::make_unique<Schedule>(snapshots_.get(), seed, mode);
    schedule->Run();
    const v1::GetLedgersResponse ledgers = schedule->Ledgers();
    REQUIRE(ledgers.ledgers_size() == static_cast<int>(kChunks));
    for (const v1::ChunkLedger& chunk : ledgers.ledgers()) {
      REQUIRE(chunk.ledger().watermark() == kIterations);
      REQUIRE(chunk.ledger().beyond().empty());
    }
    REQUIRE(ledgers.counters().applied() == kChunks * kIterations * std::max(1u, mode.parts));
    return schedule;
  }

  Weights Initial() { return Schedule(snapshots_.get(), 0, {}).FinalWeights(); }

 private:
  TempDir dir_;
  std::unique_ptr<SnapshotStore> snapshots_;
};

TEST_CASE("whatever the schedule, iterations in parts come to the same weights, to the bit") {
  Schedules schedules;
  for (const uint32_t parts : {1, 2, 3, 5}) {
    const Weights expected = Reference(parts, schedules.Initial());
    for (uint64_t seed = 0; seed < 120; ++seed) {
      INFO("seed " << seed << ", " << parts << " parts");
      REQUIRE(schedules.Run(seed, {parts, 0})->FinalWeights() == expected);
    }
  }
}

TEST_CASE("whatever the schedule, clipped iterations come to the same weights, to the bit") {
  Schedules schedules;
  for (const uint32_t parts : {2, 3}) {
    const Weights expected = Reference(parts, schedules.Initial(), kLimit);
    REQUIRE(expected != Reference(parts, schedules.Initial(), /*limit=*/-1));
    for (uint64_t seed = 0; seed < 120; ++seed) {
      INFO("seed " << seed << ", " << parts << " parts");
      REQUIRE(schedules.Run(seed, {parts, 0, true})->FinalWeights() == expected);
    }
  }
}

TEST_CASE("whatever the schedule, no gradient is later than the delay allows") {
  Schedules schedules;
  for (const uint64_t delay : {1, 2, 5}) {
    uint64_t latest = 0;
    for (uint64_t seed = 0; seed < 120; ++seed) {
      const uint64_t staleness = schedules.Run(seed, {0, delay})->Ledgers().counters().staleness_max();
      // Its weights miss up to `delay` iterations below it, and as many above it may be applied before it.
      REQUIRE(staleness <= 2 * delay);
      latest = std::max(latest, staleness);
    }
    // The schedules do make use of it.
    CHECK(latest >= delay);
  }
}

TEST_CASE("whatever the schedule, asynchronous chunks have each iteration once") {
  Schedules schedules;
  // A delay that makes nobody wait.
  for (uint64_t seed = 0; seed < 120; ++seed) schedules.Run(seed, {0, kIterations});
}

}  // namespace
}  // namespace samovar
