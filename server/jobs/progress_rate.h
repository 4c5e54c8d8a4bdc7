// ProgressRate tells how fast a job goes now, and how long it will take, from the numbers of iterations that are done.
//
// Callers pass the time (SteadyNow()). Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/time/time.h"

namespace samovar {

class ProgressRate {
 public:
  // The rate now is that of so many seconds, or of the last two iterations where they take longer.
  static constexpr absl::Duration kSpan = absl::Seconds(10);
  // When no iteration was done for so long, and for twice as long as it took between the last two, the rate is 0.
  static constexpr absl::Duration kStall = absl::Seconds(4);

  // So many iterations are done, and the job begins.
  void Begin(uint64_t done, absl::Time now);
  // So many are done by now.
  void Count(uint64_t done, absl::Time now);
  // Iterations were lost: so many are done, and the rates go on from there.
  void TakeBack(uint64_t done);

  // Iterations a second.
  double Now(absl::Time now) const;
  // The same since Begin, those that were lost left out.
  double Mean(absl::Time now) const;
  // Seconds until `left` more are done, by the rate of the latter half of the time since Begin, or of its last 10
  // minutes; 0: not known.
  double SecondsFor(uint64_t left, absl::Time now) const;
  // When an iteration was last done; Begin's time if none was.
  absl::Time last() const { return last_; }

 private:
  struct Mark {
    absl::Time time;
    // Done since Begin, each counted that was ever done: does not fall.
    uint64_t progress = 0;
  };
  static constexpr absl::Duration kEvery = absl::Milliseconds(200);
  static constexpr absl::Duration kLongest = absl::Minutes(10);
  static constexpr size_t kMaxCoarse = 240;

  static double Between(const Mark& from, uint64_t progress, absl::Time to);
  bool Stalled(absl::Time now) const;

  absl::Time began_;
  uint64_t done_ = 0;
  uint64_t progress_ = 0;
  uint64_t lost_ = 0;
  // When an iteration was last done, and how long it had been since the one before.
  absl::Time last_;
  absl::Duration gap_;
  // Marks of the last seconds.
  std::deque<Mark> recent_;
  // Marks of all the time, as many as fit, `coarse_every_` apart.
  std::vector<Mark> coarse_;
  absl::Duration coarse_every_ = absl::Seconds(1);
};

}  // namespace samovar
