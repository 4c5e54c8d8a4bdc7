#include "common/base/signals.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace samovar {
namespace {

// Sent by the destructor to the watcher's own thread.
constexpr int kEndSignal = SIGUSR2;

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, kEndSignal);
  return signals;
}

}  // namespace

SignalWatcher::SignalWatcher(std::function<void(int)> on_signal) {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([signals, on_signal = std::move(on_signal)] {
    int number = 0;
    while (sigwait(&signals, &number) == 0 && number != kEndSignal) on_signal(number);
  });
}

SignalWatcher::~SignalWatcher() {
  pthread_kill(thread_.native_handle(), kEndSignal);
  thread_.join();
}

}  // namespace samovar
