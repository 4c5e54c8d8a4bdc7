#include "server/leases/lease_table.h"

#include <algorithm>
#include <utility>

namespace samovar {

LeaseTable::LeaseTable(const Options& options, Ledger done) : options_(options), done_(std::move(done)) {
  if (options_.schedule.has_value()) affinity_.emplace();
}

uint64_t LeaseTable::End() const { return std::min({options_.max_iter, done_.watermark() + options_.window, limit_}); }

uint64_t LeaseTable::LengthFor(uint64_t worker, uint64_t workers) const {
  const auto pace = paces_.find(worker);
  const uint64_t length = pace == paces_.end() ? kFirstLeaseLength : pace->second.IterationsIn(options_.target);
  // Towards the end the rest is shared, so that all workers finish together.
  const uint64_t rest = options_.max_iter - std::min(options_.max_iter, done_.size());
  const uint64_t share = std::max<uint64_t>(1, rest / (2 * std::max<uint64_t>(1, workers)));
  uint64_t longest = std::min(options_.max_length, share);
  // Side by side, the workers' ranges are no longer than the delay from the first one's beginning to the last one's.
  if (options_.delay.has_value() && workers > 1) {
    longest = std::min(longest, std::max<uint64_t>(1, *options_.delay / (workers - 1)));
  }
  return std::clamp<uint64_t>(length, 1, longest);
}

std::optional<IterationRange> LeaseTable::TakeReturned(uint64_t length) {
  while (!returned_.empty() && done_.Contains(*returned_.begin())) returned_.erase(returned_.begin());
  if (returned_.empty() || *returned_.begin() >= End()) return std::nullopt;
  IterationRange range{*returned_.begin(), *returned_.begin()};
  const uint64_t limit = std::min(End(), BlockEnd(range.begin));
  while (range.end - range.begin < length && !returned_.empty() && *returned_.begin() == range.end &&
         range.end < limit && !done_.Contains(range.end)) {
    returned_.erase(returned_.begin());
    ++range.end;
  }
  return range;
}

uint64_t LeaseTable::BlockEnd(uint64_t t) const {
  if (!options_.schedule.has_value()) return Ledger::kMaxEnd;
  const uint64_t block = options_.schedule->options().block;
  return (t / block + 1) * block;
}

IterationRange LeaseTable::FirstFresh(uint64_t begin, uint64_t end, uint64_t length) const {
  const auto fresh = [this](uint64_t t) { return !done_.Contains(t) && !ahead_.Contains(t); };
  while (begin < end && !fresh(begin)) ++begin;
  IterationRange range{begin, begin};
  while (range.end < end && range.end - range.begin < length && fresh(range.end)) ++range.end;
  return range;
}

IterationRange LeaseTable::ChooseBlock(uint64_t worker, uint64_t limit) const {
  // No further than half the window, or the delay, beyond the lowest: so that comes to its turn before it holds up the
  // others.
  const uint64_t reach = std::min(options_.window, options_.delay.value_or(options_.window)) / 2;
  const uint64_t end = std::min(limit, fresh_ + std::max<uint64_t>(1, reach));
  IterationRange best;
  std::optional<PartitionAffinity::Rank> best_rank;
  for (uint64_t begin = fresh_; begin < end; begin = BlockEnd(begin)) {
    const IterationRange range{begin, std::min(limit, BlockEnd(begin))};
    // A worker that waits for iterations that no worker has begun would wait for itself.
    if (begin > fresh_ && options_.delay.has_value() && range.end - 1 > fresh_ + *options_.delay) break;
    const IterationRange fresh = FirstFresh(range.begin, range.end, 1);
    if (fresh.begin == fresh.end) continue;
    const PartitionAffinity::Rank rank = affinity_->RankOf(worker, options_.schedule->PartitionOf(begin));
    if (best_rank.has_value() && *best_rank <= rank) continue;
    best = range;
    best_rank = rank;
  }
  return best;
}

void LeaseTable::AdvanceFresh(uint64_t limit) {
  while (fresh_ < limit && (done_.Contains(fresh_) || ahead_.Contains(fresh_))) ++fresh_;
  if (affinity_.has_value()) ahead_.AddRange(0, fresh_);
}

std::optional<IterationRange> LeaseTable::TakeFresh(uint64_t worker, uint64_t length) {
  const uint64_t limit = End();
  AdvanceFresh(limit);
  if (fresh_ >= limit) return std::nullopt;
  const IterationRange from = affinity_.has_value() ? ChooseBlock(worker, limit) : IterationRange{fresh_, limit};
  const IterationRange range = FirstFresh(from.begin, from.end, length);
  if (range.begin == fresh_) {
    fresh_ = range.end;
    AdvanceFresh(limit);
  } else {
    ahead_.AddRange(range.begin, range.end);
  }
  return range;
}

absl::Duration LeaseTable::ExpectedFor(uint64_t worker) const {
  const auto own = paces_.find(worker);
  if (own != paces_.end() && own->second.per_iteration() > absl::ZeroDuration()) return own->second.per_iteration();
  absl::Duration sum;
  int known = 0;
  for (const auto& [other, pace] : paces_) {
    sum += pace.per_iteration();
    known += pace.per_iteration() > absl::ZeroDuration() ? 1 : 0;
  }
  return known == 0 ? absl::ZeroDuration() : sum / known;
}

bool LeaseTable::Late(const Entry& entry, absl::Time now) const {
  if (Blocked(LowestUndone(entry))) return false;
  const absl::Duration expected = ExpectedFor(entry.lease.worker);
  // Without anything to compare with, a lease's term is long for an iteration.
  const absl::Duration patience =
      expected == absl::ZeroDuration() ? options_.term : std::max(options_.patience, kLateFactor * expected);
  const absl::Time since = options_.delay.has_value() ? std::max(entry.progressed, advanced_) : entry.progressed;
  return now - since > patience;
}

bool LeaseTable::InGoodHands(uint64_t t, uint64_t worker, absl::Time now) const {
  return std::any_of(leases_.begin(), leases_.end(), [&](const auto& held) {
    const Lease& lease = held.second.lease;
    return lease.range.begin <= t && t < lease.range.end && (lease.worker == worker || !Late(held.second, now));
  });
}

std::optional<IterationRange> LeaseTable::TakeLate(uint64_t worker, uint64_t length, absl::Time now) {
  std::optional<IterationRange> lowest;
  for (const auto& [id, entry] : leases_) {
    if (entry.lease.worker == worker || !Late(entry, now)) continue;
    for (const IterationRange& left : done_.Missing(entry.lease.range.begin, entry.lease.range.end)) {
      IterationRange range{left.begin, left.begin};
      while (range.begin < left.end && InGoodHands(range.begin, worker, now)) ++range.begin;
      range.end = range.begin;
      while (range.end < left.end && range.end - range.begin < length && !InGoodHands(range.end, worker, now))
        ++range.end;
      if (range.begin == range.end || (lowest.has_value() && lowest->begin <= range.begin)) continue;
      lowest = range;
    }
  }
  return lowest;
}

bool LeaseTable::LeftOut(uint64_t worker, absl::Time now) const {
  if (!suspects_.Rests(worker, now)) return false;
  return std::any_of(leases_.begin(), leases_.end(), [&](const auto& entry) {
    const uint64_t other = entry.second.lease.worker;
    return other != worker && !suspects_.Rests(other, now);
  });
}

std::optional<TrainLeases::Lease> LeaseTable::Acquire(uint64_t worker, uint64_t workers, absl::Time now) {
  if (LeftOut(worker, now)) return std::nullopt;
  const uint64_t length = LengthFor(worker, workers);
  // A lease that the worker could only wait with is no better than none.
  const bool waits = Blocked(returned_.empty() ? fresh_ : std::min(fresh_, *returned_.begin()));
  std::optional<IterationRange> late = waits ? TakeLate(worker, length, now) : std::nullopt;
  std::optional<IterationRange> range = late;
  if (!range.has_value()) range = TakeReturned(length);
  if (!range.has_value()) range = TakeFresh(worker, length);
  if (!range.has_value()) range = late = TakeLate(worker, length, now);
  if (!range.has_value()) return std::nullopt;
  if (late.has_value()) speculative_ += late->end - late->begin;
  const Lease lease{next_id_++, worker, *range, {}};
  leases_[lease.id] = Entry{lease, now, now, now, late.has_value()};
  if (affinity_.has_value()) affinity_->Had(worker, options_.schedule->PartitionOf(range->begin));
  return lease;
}

void LeaseTable::Renew(uint64_t worker, uint64_t lease_id, absl::Time now) {
  const auto entry = leases_.find(lease_id);
  if (entry != leases_.end() && entry->second.lease.worker == worker) entry->second.renewed = now;
}

bool LeaseTable::Finished(const Entry& entry) const {
  return done_.Missing(entry.lease.range.begin, entry.lease.range.end).empty();
}

TrainLeases::News LeaseTable::Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) {
  const uint64_t watermark = done_.watermark();
  if (t >= options_.max_iter || part != 0 || !done_.Add(t)) return News::kNothing;
  if (done_.watermark() != watermark) advanced_ = now;
  paces_[worker].Count(now);
  for (auto entry = leases_.begin(); entry != leases_.end();) {
    const IterationRange& range = entry->second.lease.range;
    if (t < range.begin || t >= range.end) {
      ++entry;
      continue;
    }
    entry->second.progressed = now;
    if (entry->second.speculative && entry->second.lease.worker != worker) ++speculative_wasted_;
    if (Finished(entry->second)) {
      if (entry->second.lease.worker != worker) revoked_[entry->second.lease.worker].push_back(entry->first);
      if (entry->second.lease.worker == worker) suspects_.Clear(worker, entry->second.granted);
      entry = leases_.erase(entry);
    } else {
      ++entry;
    }
  }
  return News::kIteration;
}

LeaseTable::Entries::iterator LeaseTable::EndLease(Entries::iterator entry, bool revoke) {
  const Lease lease = entry->second.lease;
  const auto next = leases_.erase(entry);
  if (revoke) revoked_[lease.worker].push_back(lease.id);
  bool undone = false;
  for (const IterationRange& left : done_.Missing(lease.range.begin, lease.range.end)) {
    for (uint64_t t = left.begin; t < left.end; ++t) {
      const bool held = std::any_of(leases_.begin(), leases_.end(), [t](const auto& other) {
        return other.second.lease.range.begin <= t && t < other.second.lease.range.end;
      });
      if (!held) returned_.insert(t);
      undone = true;
    }
  }
  if (undone) ++releases_;
  return next;
}

void LeaseTable::RevokeBlocked() {
  if (!options_.delay.has_value()) return;
  while (!returned_.empty() && done_.Contains(*returned_.begin())) returned_.erase(returned_.begin());
  if (returned_.empty()) return;
  const uint64_t reachable = *returned_.begin() + *options_.delay;
  for (auto entry = leases_.begin(); entry != leases_.end();) {
    entry = entry->second.lease.range.end - 1 > reachable ? EndLease(entry, /*revoke=*/true) : std::next(entry);
  }
}

void LeaseTable::Release(uint64_t lease_id) {
  const auto entry = leases_.find(lease_id);
  if (entry != leases_.end()) EndLease(entry, /*revoke=*/false);
  RevokeBlocked();
}

void LeaseTable::ReleaseWorker(uint64_t worker) {
  for (auto entry = leases_.begin(); entry != leases_.end();) {
    entry = entry->second.lease.worker == worker ? EndLease(entry, /*revoke=*/false) : std::next(entry);
  }
  RevokeBlocked();
  paces_.erase(worker);
  revoked_.erase(worker);
  suspects_.Clear(worker);
  if (affinity_.has_value()) affinity_->Forget(worker);
}

void LeaseTable::RevokeAll() {
  for (auto entry = leases_.begin(); entry != leases_.end();) entry = EndLease(entry, /*revoke=*/true);
}

void LeaseTable::Expire(absl::Time now) {
  bool stalled = false;
  for (auto entry = leases_.begin(); entry != leases_.end();) {
    const bool stalls = now - entry->second.progressed > options_.stall;
    stalled = stalled || stalls;
    const bool expired = stalls || now - entry->second.renewed > options_.term;
    entry = expired ? EndLease(entry, /*revoke=*/true) : std::next(entry);
  }
  if (stalled) options_.stall *= 2;
  RevokeBlocked();
  RelieveLate(now);
}

void LeaseTable::RelieveLate(absl::Time now) {
  if (!options_.delay.has_value()) return;
  const uint64_t lowest = done_.watermark();
  for (auto& [id, entry] : leases_) {
    if (LowestUndone(entry) != lowest || entry.relieved || !Late(entry, now) || InGoodHands(lowest, /*worker=*/0, now))
      continue;
    // Finds the waiting lease whose turn is last.
    auto waiting = leases_.end();
    for (auto other = leases_.begin(); other != leases_.end(); ++other) {
      if (other->second.lease.worker == entry.lease.worker || !Blocked(LowestUndone(other->second))) continue;
      if (waiting == leases_.end() || other->second.lease.range.begin > waiting->second.lease.range.begin)
        waiting = other;
    }
    if (waiting == leases_.end()) continue;
    entry.relieved = true;
    if (suspects_.Add(entry.lease.worker, now)) late_.push_back(entry.lease.worker);
    EndLease(waiting, /*revoke=*/true);
    return;
  }
}

void LeaseTable::AddMissing(const std::vector<IterationRange>& ranges) {
  const std::vector<IterationRange> ahead = ahead_.beyond();
  const uint64_t leased_end = std::max(fresh_, ahead.empty() ? ahead_.watermark() : ahead.back().end);
  for (const IterationRange& range : ranges) {
    for (uint64_t t = range.begin; t < std::min(range.end, leased_end); ++t) {
      if (done_.Contains(t) && (t < fresh_ || ahead_.Contains(t))) returned_.insert(t);
    }
  }
  done_ = Without(done_, ranges, options_.max_iter);
}

std::vector<uint64_t> LeaseTable::TakeRevoked(uint64_t worker) {
  const auto revoked = revoked_.find(worker);
  if (revoked == revoked_.end()) return {};
  std::vector<uint64_t> result = std::move(revoked->second);
  revoked_.erase(revoked);
  return result;
}

bool LeaseTable::Holds(uint64_t worker, uint64_t lease_id) const {
  const auto entry = leases_.find(lease_id);
  return entry != leases_.end() && entry->second.lease.worker == worker;
}

std::vector<TrainLeases::Lease> LeaseTable::LeasesOf(uint64_t worker) const {
  std::vector<Lease> result;
  for (const auto& [id, entry] : leases_) {
    if (entry.lease.worker == worker) result.push_back(entry.lease);
  }
  return result;
}

std::vector<TrainLeases::Lease> LeaseTable::Leases() const {
  std::vector<Lease> result;
  for (const auto& [id, entry] : leases_) result.push_back(entry.lease);
  return result;
}

}  // namespace samovar
