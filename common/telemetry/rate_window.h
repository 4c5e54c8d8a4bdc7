// RateWindow remembers what growing counts were over the last seconds, so that their rates can be told.
//
//   RateWindow<v1::WorkerFigures> window;
//   window.Add(now, figures);          // as often as they come
//   (window.newest().counts.records() - window.oldest().counts.records()) / window.seconds()
//
// Callers pass the time (SteadyNow()). Thread safety: none; guarded by its owner.
#pragma once

#include <deque>

#include "absl/time/time.h"

namespace samovar {

template <typename Counts>
class RateWindow {
 public:
  static constexpr absl::Duration kSpan = absl::Seconds(10);

  struct Mark {
    absl::Time time;
    Counts counts;
  };

  void Add(absl::Time now, const Counts& counts) {
    newest_ = {now, counts};
    if (marks_.empty() || now - marks_.back().time >= kEvery) marks_.push_back(newest_);
    while (marks_.size() > 1 && now - marks_[1].time >= kSpan) marks_.pop_front();
  }
  // The counts begin anew: another process has them.
  void Clear() { marks_.clear(); }

  bool empty() const { return marks_.empty(); }
  // The newest, and those that it is compared with. REQUIRES: !empty()
  const Mark& newest() const { return newest_; }
  const Mark& oldest() const { return marks_.front(); }
  // Seconds between the two; 0: there is no rate yet.
  double seconds() const { return empty() ? 0 : absl::ToDoubleSeconds(newest_.time - marks_.front().time); }

 private:
  // One a second is remembered: a rate is of 10 to 11 seconds.
  static constexpr absl::Duration kEvery = absl::Seconds(1);

  std::deque<Mark> marks_;
  Mark newest_;
};

}  // namespace samovar
