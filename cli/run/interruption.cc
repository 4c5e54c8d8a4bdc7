#include "cli/run/interruption.h"

#include <csignal>
#include <utility>

namespace samovar {

Interruption::Interruption(Waker* waker, bool takes_hangups, std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)),
      watcher_(
          [this, waker](int signal) {
            if (signal == SIGHUP) {
              hangups_.fetch_add(1);
              return waker->Notify();
            }
            int none = 0;
            signal_.compare_exchange_strong(none, signal);
            const int count = count_.fetch_add(1) + 1;
            stopper_.Stop();
            if (on_signal_ != nullptr) on_signal_(count);
            waker->Notify();
          },
          takes_hangups) {}

}  // namespace samovar
