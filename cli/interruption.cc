#include "cli/interruption.h"

namespace samovar {

Interruption::Interruption(Waker* waker)
    : watcher_([this, waker](int signal) {
        int none = 0;
        signal_.compare_exchange_strong(none, signal);
        count_.fetch_add(1);
        stopper_.Stop();
        waker->Notify();
      }) {}

}  // namespace samovar
