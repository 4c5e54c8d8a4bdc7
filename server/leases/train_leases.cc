#include "server/leases/train_leases.h"

#include <algorithm>

namespace samovar {
namespace {

// Weight of the newest interval in a pace.
constexpr double kPaceWeight = 0.2;

}  // namespace

void Pace::Count(absl::Time now) {
  if (now != batch_time_ && batch_time_ != absl::InfinitePast()) {
    if (before_batch_ != absl::InfinitePast()) {
      const absl::Duration sample = (batch_time_ - before_batch_) / batch_size_;
      per_iteration_ =
          per_iteration_ == absl::ZeroDuration() ? sample : (1 - kPaceWeight) * per_iteration_ + kPaceWeight * sample;
    }
    before_batch_ = batch_time_;
    batch_size_ = 0;
  }
  batch_time_ = now;
  ++batch_size_;
}

uint64_t Pace::IterationsIn(absl::Duration time) const {
  if (per_iteration_ <= absl::ZeroDuration()) return kFirstLeaseLength;
  return static_cast<uint64_t>(std::max(1.0, absl::FDivDuration(time, per_iteration_)));
}

Ledger Without(const Ledger& ledger, const std::vector<IterationRange>& ranges, uint64_t max_iter) {
  Ledger missing;
  for (const IterationRange& range : ranges) missing.AddRange(range.begin, std::min(range.end, max_iter));
  Ledger result;
  for (const IterationRange& kept : missing.Missing(0, max_iter)) {
    uint64_t from = kept.begin;
    for (const IterationRange& gap : ledger.Missing(kept.begin, kept.end)) {
      result.AddRange(from, gap.begin);
      from = gap.end;
    }
    result.AddRange(from, kept.end);
  }
  return result;
}

Ledger HeldByAll(const std::vector<Ledger>& ledgers, uint64_t max_iter) {
  Ledger missing;
  for (const Ledger& ledger : ledgers) {
    for (const IterationRange& range : ledger.Missing(0, max_iter)) missing.AddRange(range.begin, range.end);
  }
  Ledger held;
  for (const IterationRange& range : missing.Missing(0, max_iter)) held.AddRange(range.begin, range.end);
  return held;
}

}  // namespace samovar
