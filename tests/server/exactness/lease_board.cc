#include "tests/server/exactness/lease_board.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/time/time.h"

namespace samovar {
namespace {

// How often, in percent, a worker is given what another one computes, though there is something that nobody does.
constexpr uint64_t kTwicePercent = 15;
// Far beyond what anything here takes.
constexpr absl::Duration kNever = absl::Seconds(60);

}  // namespace

LeaseBoard::LeaseBoard(uint64_t seed, uint64_t iterations, uint32_t parts) : random_(seed) {
  for (uint64_t t = 0; t < iterations; ++t) {
    for (uint32_t part = 0; part < parts; ++part) cells_[{t, part}] = {};
  }
}

bool LeaseBoard::Ended() const { return !failure_.empty() || (closed_ && done_ == cells_.size()); }

bool LeaseBoard::HasNews() const {
  return Ended() ||
         std::any_of(cells_.begin(), cells_.end(), [this](const auto& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
           return !entry.second.done && entry.second.holders == 0 && entry.first.t < limit_;
         });
}

std::optional<LeaseBoard::Cell> LeaseBoard::Choose() {
  std::vector<Cell> held;
  std::optional<Cell> lowest;
  for (const auto& [cell, state] : cells_) {
    if (state.done || cell.t >= limit_) continue;
    if (state.holders == 0) {
      lowest = cell;
      // Iterations beyond it may have to wait for it.
      break;
    }
    held.push_back(cell);
  }
  if (!held.empty() && random_() % 100 < kTwicePercent) return held[random_() % held.size()];
  return lowest;
}

std::optional<LeaseBoard::Lease> LeaseBoard::Take() {
  absl::MutexLock lock(&mu_);
  while (!Ended()) {
    if (const std::optional<Cell> cell = Choose()) {
      ++cells_[*cell].holders;
      return Lease{*cell, opening_, time_, revoked_};
    }
    mu_.Await(absl::Condition(this, &LeaseBoard::HasNews));
  }
  return std::nullopt;
}

void LeaseBoard::Return(const Lease& lease) {
  absl::MutexLock lock(&mu_);
  if (lease.time == time_) --cells_[lease.cell].holders;
}

void LeaseBoard::Done(const Lease& lease) {
  absl::MutexLock lock(&mu_);
  if (lease.time != time_) return;
  State& state = cells_[lease.cell];
  --state.holders;
  if (!state.done) ++done_;
  state.done = true;
}

bool LeaseBoard::Holds(const Lease& lease) const {
  absl::MutexLock lock(&mu_);
  return lease.time == time_;
}

void LeaseBoard::Fail(const std::string& failure) {
  absl::MutexLock lock(&mu_);
  FailLocked(failure);
}

void LeaseBoard::FailLocked(const std::string& failure) {
  if (failure_.empty()) failure_ = failure;
  revoked_->Stop();
}

void LeaseBoard::SetLimit(uint64_t limit) {
  absl::MutexLock lock(&mu_);
  limit_ = limit;
}

void LeaseBoard::AwaitDone(size_t cells) {
  absl::MutexLock lock(&mu_);
  const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !failure_.empty() || done_ >= cells; };
  size_t before = 0;
  do {
    before = done_;
    if (mu_.AwaitWithTimeout(absl::Condition(&there), kNever)) return;
  } while (done_ > before);
  FailLocked("nothing got done for a minute");
}

void LeaseBoard::ServerLost(const std::set<uint64_t>& iterations, uint64_t opening) {
  absl::MutexLock lock(&mu_);
  for (auto& [cell, state] : cells_) {
    state.holders = 0;
    if (state.done && iterations.contains(cell.t)) {
      state.done = false;
      --done_;
    }
  }
  opening_ = opening;
  ++time_;
  revoked_->Stop();
  revoked_ = std::make_shared<Stopper>();
}

void LeaseBoard::Close() {
  absl::MutexLock lock(&mu_);
  closed_ = true;
}

std::string LeaseBoard::failure() const {
  absl::MutexLock lock(&mu_);
  return failure_;
}

}  // namespace samovar
