// Waker lets one thread wait for news from many: threads, processes' ends, signals.
//
// Thread safety: Notify from any thread; Wait by one thread at a time.
#pragma once

#include "absl/time/time.h"

namespace samovar {

class Waker {
 public:
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // The Wait in progress, or else the next one, returns at once. Several before it count as one.
  void Notify();

  // Blocks until Notify, or until `other_fd` (if not negative) has something to read or was closed by its writers, or
  // until `deadline`, which is by SteadyNow() (clock.h).
  void Wait(absl::Time deadline, int other_fd = -1);

 private:
  // An eventfd, so that one wait covers file descriptors too.
  const int fd_;
};

}  // namespace samovar
