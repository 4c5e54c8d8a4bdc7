#include "common/base/stopper.h"

#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a stopper is not stopped until it is told") {
  Stopper stopper;
  CHECK_FALSE(stopper.stopped());
  CHECK_FALSE(stopper.WaitFor(absl::ZeroDuration()));
  CHECK_FALSE(stopper.WaitFor(absl::Microseconds(1)));
  stopper.Stop();
  CHECK(stopper.stopped());
}

TEST_CASE("a wait on a stopped stopper returns at once, however long it may take") {
  Stopper stopper;
  stopper.Stop();
  CHECK(stopper.WaitFor(absl::InfiniteDuration()));
  CHECK(stopper.WaitFor(absl::ZeroDuration()));
}

TEST_CASE("stopping twice is stopping") {
  Stopper stopper;
  stopper.Stop();
  stopper.Stop();
  CHECK(stopper.stopped());
}

TEST_CASE("stopping wakes all waits") {
  Stopper stopper;
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&stopper] {
      // Without a wake-up the test's time limit would end this.
      if (!stopper.WaitFor(absl::InfiniteDuration())) std::abort();
    });
  }
  stopper.Stop();
  for (std::thread& waiter : waiters) waiter.join();
  CHECK(stopper.stopped());
}

}  // namespace
}  // namespace samovar
