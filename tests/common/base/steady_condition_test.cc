#include "common/base/steady_condition.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "tests/support/catch.h"

namespace {

// How far the wall clock is set forward for this thread.
thread_local time_t ahead_seconds = 0;

}  // namespace

// Sanitizers have their own clock_gettime.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

extern "C" __attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, now));
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += ahead_seconds;
  return result;
}

#endif

namespace samovar {
namespace {

TEST_CASE("a wait ends when its condition is made true, and says so") {
  absl::Mutex mu;
  SteadyCondition changed;
  bool there = false;
  std::thread other([&] {
    absl::MutexLock lock(&mu);
    there = true;
    changed.NotifyAll();
  });
  {
    absl::MutexLock lock(&mu);
    CHECK(changed.WaitFor(&mu, absl::InfiniteDuration(), [&] { return there; }));
  }
  other.join();
}

TEST_CASE("a wait for what does not come ends after its time, and not before") {
  absl::Mutex mu;
  SteadyCondition changed;
  const absl::Time begun = SteadyNow();
  absl::MutexLock lock(&mu);
  CHECK_FALSE(changed.WaitFor(&mu, absl::Milliseconds(20), [] { return false; }));
  CHECK(SteadyNow() - begun >= absl::Milliseconds(20));
  CHECK_FALSE(changed.WaitFor(&mu, absl::ZeroDuration(), [] { return false; }));
}

TEST_CASE("a wait does not look at the wall clock, however wrong it is") {
  absl::Mutex mu;
  SteadyCondition changed;
  bool given_up = false;
  bool in_time = false;
  absl::Notification ended;
  std::thread waiting([&] {
    ahead_seconds = 3600;
    absl::MutexLock lock(&mu);
    in_time = !changed.WaitFor(&mu, absl::Milliseconds(20), [&] { return given_up; });
    ended.Notify();
  });
  // A wait until a moment of that clock would take an hour.
  ended.WaitForNotificationWithTimeout(absl::Seconds(10));
  {
    absl::MutexLock lock(&mu);
    given_up = true;
    changed.NotifyAll();
  }
  waiting.join();
  CHECK(in_time);
}

}  // namespace
}  // namespace samovar
