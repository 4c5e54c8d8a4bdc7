#include "common/base/steady_condition.h"

#include <algorithm>
#include <chrono>

namespace samovar {
namespace {

// Longer than any process lives, and far from the end of the clock's range.
constexpr absl::Duration kLongest = absl::Hours(24 * 365 * 20);

// A mutex as std::condition_variable_any asks for it.
struct Lockable {
  absl::Mutex* mu;
  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu->Lock(); }
  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu->Unlock(); }
};

}  // namespace

bool SteadyCondition::WaitFor(absl::Mutex* mu, absl::Duration time, absl::FunctionRef<bool()> holds) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(time, kLongest));
  Lockable lockable{mu};
  return changed_.wait_until(lockable, end, [&] { return holds(); });
}

}  // namespace samovar
