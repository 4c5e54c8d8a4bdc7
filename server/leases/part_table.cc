#include "server/leases/part_table.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace samovar {
namespace {

// A worker that asks for work while it holds a lease has reported its end by another call that is under way, or the
// answer that brought the lease was lost. After this long it is the latter.
constexpr absl::Duration kDoubt = absl::Seconds(1);
// Parts that their worker has not asked for within this time, though there is no other work, are dealt to others.
constexpr absl::Duration kComeForParts = absl::Seconds(2);

}  // namespace

PartTable::PartTable(const Options& options, uint32_t parts, Ledger done)
    : options_(options), parts_(parts), done_(std::move(done)), newest_{done_.watermark(), done_.watermark()} {}

bool PartTable::BeginRound(uint64_t worker, absl::Time now) {
  const uint64_t end = std::min(options_.max_iter, limit_);
  // One range is computed, and one is dealt to those that are done with it.
  if (done_.watermark() < newest_.begin) return false;
  uint64_t begin = std::max(newest_.end, done_.watermark());
  while (begin < end && done_.Contains(begin)) ++begin;
  if (begin >= end) return false;
  const uint64_t length = std::clamp<uint64_t>(pace_.IterationsIn(options_.target), 1, options_.max_length);
  newest_ = {begin, begin};
  while (newest_.end < end && newest_.end - begin < length && !done_.Contains(newest_.end)) ++newest_.end;
  changed_ = now;
  dealt_to_ = workers_;
  std::vector<uint64_t> order(workers_.begin(), workers_.end());
  std::rotate(order.begin(), std::find(order.begin(), order.end(), worker), order.end());
  left_ = shares_.Deal(order, parts_, now);
  return true;
}

PartTable::Entry* PartTable::UnfinishedOf(uint64_t worker) {
  const auto held = std::find_if(leases_.begin(), leases_.end(),
                                 [worker](const auto& entry) { return entry.second.lease.worker == worker; });
  return held == leases_.end() ? nullptr : &held->second;
}

std::optional<TrainLeases::Lease> PartTable::Acquire(uint64_t worker, uint64_t, absl::Time now) {
  const bool others = workers_.size() > workers_.count(worker);
  if (others && UnfinishedOf(worker) == nullptr && suspects_.Rests(worker, now)) return std::nullopt;
  workers_.insert(worker);
  if (Entry* held = UnfinishedOf(worker)) {
    held->doubted = std::min(held->doubted, now);
    if (now - held->doubted < kDoubt) return std::nullopt;
    held->doubted = absl::InfiniteFuture();
    return held->lease;
  }
  if (left_.empty() && !BeginRound(worker, now)) return std::nullopt;
  auto share = left_.find(worker);
  if (share == left_.end()) {
    // It has had its share, or is too slow for one. Who came later has that of one that has not come yet.
    if (dealt_to_.contains(worker)) return std::nullopt;
    share = left_.begin();
  }
  Lease lease{next_id_++, worker, newest_, std::vector<uint32_t>(share->second.count)};
  std::iota(lease.parts.begin(), lease.parts.end(), share->second.first);
  left_.erase(share);
  leases_[lease.id] = Entry{lease, now, now, now};
  changed_ = now;
  return lease;
}

void PartTable::Renew(uint64_t worker, uint64_t lease_id, absl::Time now) {
  const auto entry = leases_.find(lease_id);
  if (entry != leases_.end() && entry->second.lease.worker == worker) entry->second.renewed = now;
}

void PartTable::Waits(uint64_t worker, absl::Time now) {
  waiting_[worker] = now;
  cut_off_.erase(worker);
}

void PartTable::WaitsForServer(uint64_t worker, absl::Time now) {
  cut_off_[worker] = now;
  waiting_.erase(worker);
}

bool PartTable::Finished(const Lease& lease) const {
  for (const IterationRange& left : done_.Missing(lease.range.begin, lease.range.end)) {
    for (uint64_t t = left.begin; t < left.end; ++t) {
      const auto found = done_parts_.find(t);
      if (found == done_parts_.end()) return false;
      for (uint32_t part : lease.parts) {
        if (!found->second.contains(part)) return false;
      }
    }
  }
  return true;
}

TrainLeases::News PartTable::Complete(uint64_t worker, uint64_t t, uint32_t part, absl::Time now) {
  if (t >= options_.max_iter || part >= parts_ || done_.Contains(t)) return News::kNothing;
  std::set<uint32_t>& parts = done_parts_[t];
  if (!parts.insert(part).second) return News::kNothing;
  if (const auto replaced = replaced_.extract({t, part}); !replaced.empty() && replaced.mapped() == worker)
    ++speculative_wasted_;
  News news = News::kPart;
  if (parts.size() == parts_) {
    done_parts_.erase(t);
    done_.Add(t);
    pace_.Count(now);
    advanced_ = now;
    news = News::kIteration;
  }
  for (auto entry = leases_.begin(); entry != leases_.end();) {
    const Lease& lease = entry->second.lease;
    if (t >= lease.range.begin && t < lease.range.end) entry->second.progressed = now;
    if (!Finished(lease)) {
      ++entry;
      continue;
    }
    if (lease.worker != worker) revoked_[lease.worker].push_back(lease.id);
    if (lease.worker == worker) suspects_.Clear(worker, entry->second.granted);
    entry = leases_.erase(entry);
    changed_ = now;
  }
  return news;
}

void PartTable::Restart() {
  releases_ += leases_.size();
  for (const auto& [id, entry] : std::exchange(leases_, {})) revoked_[entry.lease.worker].push_back(id);
  left_.clear();
  newest_ = {done_.watermark(), done_.watermark()};
}

void PartTable::Release(uint64_t lease_id) {
  if (leases_.contains(lease_id)) Restart();
}

void PartTable::ReleaseWorker(uint64_t worker) {
  // Some parts of the newest range may have been left for it.
  const bool awaited = workers_.erase(worker) != 0 && !left_.empty();
  if (awaited || UnfinishedOf(worker) != nullptr) Restart();
  revoked_.erase(worker);
  waiting_.erase(worker);
  cut_off_.erase(worker);
  suspects_.Clear(worker);
  shares_.Forget(worker);
}

void PartTable::Expire(absl::Time now) {
  const bool stalled = std::any_of(leases_.begin(), leases_.end(),
                                   [&](const auto& entry) { return now - entry.second.progressed > options_.stall; });
  if (stalled) options_.stall *= 2;
  const bool lost = stalled || std::any_of(leases_.begin(), leases_.end(), [&](const auto& entry) {
                      return now - entry.second.renewed > options_.term;
                    });
  const bool idle = WaitsForFreeParts(now);
  if (idle) {
    workers_.clear();
    for (const auto& [id, entry] : leases_) workers_.insert(entry.lease.worker);
  }
  if (lost || idle) return Restart();
  if (const std::set<uint64_t> late = LateWorkers(now); !late.empty()) ReplaceLate(late, now);
}

bool PartTable::WaitsForOthers(uint64_t worker, absl::Time now) const {
  const auto said = waiting_.find(worker);
  return said != waiting_.end() && now - said->second <= options_.news;
}

bool PartTable::IsCutOff(uint64_t worker, absl::Time now) const {
  const auto said = cut_off_.find(worker);
  if (said == cut_off_.end() || now - said->second > options_.news) return false;
  return std::any_of(leases_.begin(), leases_.end(), [&](const auto& entry) {
    return entry.second.lease.worker != worker && WaitsForOthers(entry.second.lease.worker, now);
  });
}

bool PartTable::HoldsUp(const Entry& entry, uint64_t t) const {
  const Lease& lease = entry.lease;
  if (t < lease.range.begin || t >= lease.range.end) return false;
  const auto done = done_parts_.find(t);
  return done == done_parts_.end() || std::any_of(lease.parts.begin(), lease.parts.end(),
                                                  [&](uint32_t part) { return !done->second.contains(part); });
}

std::set<uint64_t> PartTable::LateWorkers(absl::Time now) const {
  const absl::Duration expected = pace_.per_iteration();
  const absl::Duration patience = std::max(options_.patience, kLateFactor * expected);
  // Without a pace there is nothing to compare with.
  const bool overdue = expected != absl::ZeroDuration() && now - advanced_ > patience;
  std::set<uint64_t> late;
  for (const auto& [id, entry] : leases_) {
    if (!HoldsUp(entry, done_.watermark()) || WaitsForOthers(entry.lease.worker, now)) continue;
    if (!IsCutOff(entry.lease.worker, now) && (!overdue || now - entry.granted <= patience)) return {};
    late.insert(entry.lease.worker);
  }
  return late.size() < workers_.size() ? late : std::set<uint64_t>();
}

void PartTable::ReplaceLate(const std::set<uint64_t>& workers, absl::Time now) {
  for (const auto& [id, entry] : leases_) {
    if (!workers.contains(entry.lease.worker)) continue;
    for (uint64_t t = entry.lease.range.begin; t < entry.lease.range.end; ++t) {
      for (const uint32_t part : entry.lease.parts) {
        const auto done = done_parts_.find(t);
        if (done_.Contains(t) || (done != done_parts_.end() && done->second.contains(part))) continue;
        replaced_[{t, part}] = entry.lease.worker;
        ++speculative_;
      }
    }
  }
  for (const uint64_t worker : workers) {
    workers_.erase(worker);
    if (suspects_.Add(worker, now)) late_.push_back(worker);
  }
  Restart();
}

bool PartTable::WaitsForFreeParts(absl::Time now) const {
  if (left_.empty() || now - changed_ < kComeForParts) return false;
  // A worker that is busy with an earlier range will come.
  return std::all_of(leases_.begin(), leases_.end(),
                     [this](const auto& entry) { return entry.second.lease.range == newest_; });
}

void PartTable::AddMissing(const std::vector<IterationRange>& ranges) {
  done_ = Without(done_, ranges, options_.max_iter);
  done_parts_.clear();
  replaced_.clear();
  Restart();
}

std::vector<uint64_t> PartTable::TakeRevoked(uint64_t worker) {
  const auto revoked = revoked_.find(worker);
  if (revoked == revoked_.end()) return {};
  std::vector<uint64_t> result = std::move(revoked->second);
  revoked_.erase(revoked);
  return result;
}

bool PartTable::Holds(uint64_t worker, uint64_t lease_id) const {
  const auto entry = leases_.find(lease_id);
  return entry != leases_.end() && entry->second.lease.worker == worker;
}

std::vector<TrainLeases::Lease> PartTable::LeasesOf(uint64_t worker) const {
  std::vector<Lease> result;
  for (const auto& [id, entry] : leases_) {
    if (entry.lease.worker == worker) result.push_back(entry.lease);
  }
  return result;
}

std::vector<TrainLeases::Lease> PartTable::Leases() const {
  std::vector<Lease> result;
  for (const auto& [id, entry] : leases_) result.push_back(entry.lease);
  return result;
}

}  // namespace samovar
