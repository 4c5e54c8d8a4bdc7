// Alarm calls a function at a time, unless it is destroyed before: for a call that blocks and knows no deadline itself.
//
// The function runs on a thread of the alarm's own. The destructor waits for it if it has begun.
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stopper.h"

namespace samovar {

class Alarm {
 public:
  // `at` is by SteadyNow() (clock.h).
  Alarm(absl::Time at, std::function<void()> ring)
      : thread_([this, at, ring = std::move(ring)] {
          if (!stopper_.WaitFor(at - SteadyNow())) ring();
        }) {}
  ~Alarm() {
    stopper_.Stop();
    thread_.join();
  }

 private:
  Stopper stopper_;
  // Last: it uses the other.
  std::thread thread_;
};

}  // namespace samovar
