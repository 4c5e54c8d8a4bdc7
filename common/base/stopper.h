// Stopper tells waiting threads that their process or object is to end.
//
// Thread safety: all methods may be called from any thread. Stop() is not safe inside a signal handler (see signals.h).
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/steady_condition.h"

namespace samovar {

class Stopper {
 public:
  Stopper() = default;
  Stopper(const Stopper&) = delete;
  Stopper& operator=(const Stopper&) = delete;

  // From now on stopped() holds; wakes all waits. Idempotent.
  void Stop() {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    changed_.NotifyAll();
  }

  bool stopped() const {
    absl::MutexLock lock(&mu_);
    return stopped_;
  }

  // Blocks for at most the given time. Returns true as soon as Stop() has been called.
  bool WaitFor(absl::Duration time) const {
    absl::MutexLock lock(&mu_);
    return changed_.WaitFor(&mu_, time, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_; });
  }

 private:
  mutable absl::Mutex mu_;
  mutable SteadyCondition changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace samovar
