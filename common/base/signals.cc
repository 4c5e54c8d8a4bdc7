#include "common/base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <utility>

#include "common/base/exceptions.h"

namespace samovar {
namespace {

// Sent by the destructor to the watcher's own thread.
constexpr int kEndSignal = SIGUSR2;
// Between two calls of a function that throws.
constexpr int64_t kRetryNanoseconds = 50'000'000;

sigset_t WatchedSignals(bool hangups) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, kEndSignal);
  if (hangups) sigaddset(&signals, SIGHUP);
  return signals;
}

// Calls the function until it does not throw. False: the destructor wants the thread to end.
bool Handle(const std::function<void(int)>& on_signal, int number, const sigset_t& signals) {
  while (true) {
    const absl::Status status = CatchExceptions([&] {
      on_signal(number);
      return absl::OkStatus();
    });
    if (status.ok()) return true;
    std::fprintf(stderr, "signal %d could not be taken, and is tried again\n", number);
    const timespec rest = {0, kRetryNanoseconds};
    const int next = sigtimedwait(&signals, nullptr, &rest);
    if (next == kEndSignal) return false;
    // Another of them meanwhile: the newest counts.
    if (next > 0) number = next;
  }
}

}  // namespace

SignalWatcher::SignalWatcher(std::function<void(int)> on_signal, bool hangups) {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = WatchedSignals(hangups);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([signals, on_signal = std::move(on_signal)] {
    int number = 0;
    while (sigwait(&signals, &number) == 0 && number != kEndSignal) {
      if (!Handle(on_signal, number, signals)) return;
    }
  });
}

SignalWatcher::~SignalWatcher() {
  pthread_kill(thread_.native_handle(), kEndSignal);
  thread_.join();
}

}  // namespace samovar
