// FailureStreak counts the failures of a job's workers that come one after the other with no progress in between, and
// says which are told to people and when the job is given up.
//
// Times are SteadyNow()'s (clock.h). Thread safety: none; guarded by its owner.
#pragma once

#include "absl/time/time.h"

namespace samovar {

class FailureStreak {
 public:
  // So many failures in a row end the job; not before some time has passed since the first, in which a server that was
  // restarted is heard of: many workers fail at once then.
  static constexpr int kMaxInARow = 20;
  static constexpr absl::Duration kPatience = absl::Seconds(15);
  // The first failure of a row is told as it comes, and then no other for so long: a worker may fail again and again
  // beside others that get on.
  static constexpr absl::Duration kNewsEvery = absl::Minutes(1);

  struct Outcome {
    bool is_told = false;
    bool gives_up = false;
  };
  // Takes a failure.
  Outcome Add(absl::Time now);
  // Work was done, or the job begins anew: the next failure is the first of a row.
  void End() { count_ = 0; }
  // Failures of the row so far.
  int count() const { return count_; }

 private:
  int count_ = 0;
  absl::Time first_ = absl::InfinitePast();
  // When a failure was last told.
  absl::Time told_ = absl::InfinitePast();
};

}  // namespace samovar
