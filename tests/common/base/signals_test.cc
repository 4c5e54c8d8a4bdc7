#include "common/base/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a signal whose function throws is taken again until it does not") {
  std::atomic<int> calls = 0;
  absl::Notification taken;
  const SignalWatcher watcher([&](int signal) {
    if (++calls < 3) throw std::bad_alloc();
    if (signal == SIGTERM) taken.Notify();
  });
  REQUIRE(kill(getpid(), SIGTERM) == 0);
  REQUIRE(taken.WaitForNotificationWithTimeout(absl::Seconds(60)));
  CHECK(calls == 3);
}

TEST_CASE("a watcher ends though its function throws each time") {
  absl::Notification called;
  std::atomic<int> calls = 0;
  {
    const SignalWatcher watcher([&](int) {
      if (++calls == 1) called.Notify();
      throw std::bad_alloc();
    });
    REQUIRE(kill(getpid(), SIGINT) == 0);
    REQUIRE(called.WaitForNotificationWithTimeout(absl::Seconds(60)));
  }
  CHECK(calls >= 1);
}

}  // namespace
}  // namespace samovar
