#include "cli/run/interruption.h"

#include <csignal>

namespace samovar {

Interruption::Interruption(Waker* waker, bool takes_hangups)
    : watcher_(
          [this, waker](int signal) {
            if (signal == SIGHUP) {
              hangups_.fetch_add(1);
              return waker->Notify();
            }
            int none = 0;
            signal_.compare_exchange_strong(none, signal);
            count_.fetch_add(1);
            stopper_.Stop();
            waker->Notify();
          },
          takes_hangups) {}

}  // namespace samovar
