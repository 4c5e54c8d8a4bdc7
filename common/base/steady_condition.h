// SteadyCondition lets threads that hold a mutex wait for a change of the state that it guards, for a time that is
// measured on the steady clock. The timed waits of absl::Mutex and absl::CondVar end at a moment of the wall clock: set
// back by an hour, it makes a wait of a second one of an hour. Unlike a condition of absl::Mutex, this one is not
// looked at by itself: the thread that makes it true calls NotifyAll.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <condition_variable>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace samovar {

class SteadyCondition {
 public:
  SteadyCondition() = default;
  SteadyCondition(const SteadyCondition&) = delete;
  SteadyCondition& operator=(const SteadyCondition&) = delete;

  // Blocks until `holds`, but for at most the given time (which may be infinite). The mutex, which must be held, is
  // given up meanwhile and held again on return, and whenever `holds` is called. Returns the last result of `holds`.
  bool WaitFor(absl::Mutex* mu, absl::Duration time, absl::FunctionRef<bool()> holds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Wakes all waits, to look again. The mutex may be held.
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::condition_variable_any changed_;
};

}  // namespace samovar
