#include "common/base/steady_condition.h"

#include <thread>

#include "common/base/clock.h"
#include "tests/support/catch.h"

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

}  // namespace
}  // namespace samovar
