// Interruption notes that the user wants the run to end: SIGINT or SIGTERM.
//
// Create it on the main thread before any other thread exists (signals.h). Thread safety: all methods may be called
// from any thread.
#pragma once

#include <atomic>
#include <functional>

#include "cli/run/waker.h"
#include "common/base/signals.h"
#include "common/base/stopper.h"

namespace samovar {

class Interruption {
 public:
  // The waker, which outlives the object, is notified of each signal. `takes_hangups`: SIGHUP is counted instead of
  // ending the process. `on_signal` is called with each signal that asks for the end, on the watcher's thread: with 1,
  // 2 and so on.
  explicit Interruption(Waker* waker, bool takes_hangups = false, std::function<void(int count)> on_signal = nullptr);

  // Number of the first signal; 0: there was none.
  int signal() const { return signal_.load(); }
  // There was a second one: the user is out of patience.
  bool hurry() const { return count_.load() > 1; }
  // How many SIGHUPs have come.
  int hangups() const { return hangups_.load(); }
  // Stopped by the first signal.
  const Stopper& stopper() const { return stopper_; }

 private:
  std::atomic<int> signal_{0};
  std::atomic<int> count_{0};
  std::atomic<int> hangups_{0};
  Stopper stopper_;
  const std::function<void(int)> on_signal_;
  // Last: its thread uses the others.
  SignalWatcher watcher_;
};

}  // namespace samovar
