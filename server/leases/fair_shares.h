// FairShares divides the workers' time among the jobs that run, in proportion to their weights.
//
// A job's account is the time that it has had, in seconds of workers' threads, divided by its weight. A worker that
// asks for work is offered the job with the lowest account first. It stays with the job that it worked for last, whose
// net and data it has at hand, as long as no other is more than kAffinity behind. So shares are as the weights are,
// over some seconds, and workers seldom change.
//
// A state machine without clock or threads: callers pass the time. Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/time/time.h"

namespace samovar {

class FairShares {
 public:
  // Seconds of a worker that another job is owed before one changes over to it.
  static constexpr double kAffinity = 1;
  // About a lease.
  static constexpr absl::Duration kLookAhead = absl::Seconds(1);
  // A job that had no work to give may claim so much of the time that it did not use.
  static constexpr double kMaxOwed = 10;

  // The jobs that take part now, with their weights, above 0. One that is new begins with an account as low as the
  // lowest; workers of one that takes part no more are idle.
  void SetJobs(const std::map<uint64_t, double>& weights);

  // The worker asks for work, so its former work is over. Returns the jobs to offer it, one after the other.
  std::vector<uint64_t> Offers(uint64_t worker, absl::Time now);
  // It took the job's offer. `threads`: that it computes with.
  void Took(uint64_t worker, uint64_t job, double threads, absl::Time now);
  // The worker is gone.
  void Leave(uint64_t worker, absl::Time now);

  // The job that the worker works for, or worked for last.
  std::optional<uint64_t> JobOf(uint64_t worker) const;
  // Workers that work for the job now.
  uint64_t WorkersOf(uint64_t job) const;

 private:
  struct Share {
    double weight = 1;
    double account = 0;
  };
  struct Place {
    // Works for `job` since then with so many threads; 0: idle.
    uint64_t job = 0;
    double threads = 0;
    absl::Time since;
  };

  void Settle(Place* place, absl::Time now);
  // Accounts, with the work that is under way until then.
  std::map<uint64_t, double> AccountsAt(absl::Time time) const;

  std::map<uint64_t, Share> shares_;
  std::map<uint64_t, Place> places_;
};

}  // namespace samovar
