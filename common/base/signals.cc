#include "common/base/signals.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace samovar {
namespace {

// Sent by the destructor to the watcher's own thread.
constexpr int kEndSignal = SIGUSR2;

sigset_t WatchedSignals(bool hangups) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, kEndSignal);
  if (hangups) sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

SignalWatcher::SignalWatcher(std::function<void(int)> on_signal, bool hangups) {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = WatchedSignals(hangups);
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
