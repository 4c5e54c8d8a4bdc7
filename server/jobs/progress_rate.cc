#include "server/jobs/progress_rate.h"

#include <algorithm>

namespace samovar {

void ProgressRate::Begin(uint64_t done, absl::Time now) {
  *this = ProgressRate();
  began_ = last_ = now;
  done_ = done;
  recent_.push_back({now, 0});
  coarse_.push_back({now, 0});
}

void ProgressRate::Count(uint64_t done, absl::Time now) {
  if (done <= done_) return;
  progress_ += done - done_;
  done_ = done;
  gap_ = now - last_;
  last_ = now;
  if (now - recent_.back().time >= kEvery) recent_.push_back({now, progress_});
  // The oldest is from before the span, and two iterations remain in any case.
  while (recent_.size() > 3 && now - recent_[1].time >= kSpan) recent_.pop_front();
  if (now - coarse_.back().time < coarse_every_) return;
  coarse_.push_back({now, progress_});
  if (coarse_.size() < kMaxCoarse) return;
  std::vector<Mark> kept;
  for (size_t i = 0; i < coarse_.size(); i += 2) kept.push_back(coarse_[i]);
  coarse_ = std::move(kept);
  coarse_every_ *= 2;
}

void ProgressRate::TakeBack(uint64_t done) {
  if (done < done_) lost_ += done_ - done;
  done_ = done;
}

double ProgressRate::Between(const Mark& from, uint64_t progress, absl::Time to) {
  const double seconds = absl::ToDoubleSeconds(to - from.time);
  return seconds <= 0 ? 0 : static_cast<double>(progress - from.progress) / seconds;
}

bool ProgressRate::Stalled(absl::Time now) const { return now - last_ > std::max(kStall, 2 * gap_); }

double ProgressRate::Now(absl::Time now) const {
  if (recent_.empty() || progress_ == 0 || Stalled(now)) return 0;
  // The newest mark that is as old as the span; of a slow job the oldest that is kept.
  auto from = recent_.begin();
  while (from + 1 != recent_.end() && now - (from + 1)->time >= kSpan && recent_.end() - from > 3) ++from;
  // For as long as the last iteration took, the next is not late, and does not lower the rate.
  return Between(*from, progress_, std::max(last_, now - gap_));
}

double ProgressRate::Mean(absl::Time now) const {
  const double seconds = absl::ToDoubleSeconds(now - began_);
  return seconds <= 0 ? 0 : static_cast<double>(progress_ - std::min(progress_, lost_)) / seconds;
}

double ProgressRate::SecondsFor(uint64_t left, absl::Time now) const {
  if (progress_ == 0 || Stalled(now)) return 0;
  const absl::Time from = std::max(began_ + (now - began_) / 2, now - kLongest);
  auto mark = std::upper_bound(coarse_.begin(), coarse_.end(), from,
                               [](absl::Time time, const Mark& other) { return time < other.time; });
  if (mark != coarse_.begin()) --mark;
  const double rate = Between(*mark, progress_, now);
  return rate <= 0 ? 0 : static_cast<double>(left) / rate;
}

}  // namespace samovar
