// WaitNews tells people for which place a program waits, and until when: one line a place, however many requests wait
// there beside each other.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace samovar {

class WaitNews {
 public:
  // Before this time has passed a wait is not told; a place that is waited for is told again after kToldEvery.
  static constexpr absl::Duration kToldAfter = absl::Seconds(5);
  static constexpr absl::Duration kToldEvery = absl::Minutes(1);

  explicit WaitNews(std::function<void(const std::string& news)> tell) : tell_(std::move(tell)) {}

  // A request to the place ("hdfs://main") has waited for `waited`, and will for `left` at most.
  void Waits(const std::string& place, absl::Duration waited, absl::Duration left) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::function<void(const std::string&)> tell_;
  absl::Mutex mu_;
  // When each place was told last, on the steady clock.
  std::map<std::string, absl::Time> told_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
