// RecentText is a text that is costly to make and that many ask for: all that ask within a while get the same one.
//
// Thread safety: any thread. Whoever comes while it is made waits for it.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace samovar {

class RecentText {
 public:
  // A text of `make` is given out for `shared`; an error is not. `now`: as SteadyNow.
  RecentText(std::function<absl::StatusOr<std::string>()> make, absl::Duration shared,
             std::function<absl::Time()> now = SteadyNow)
      : make_(std::move(make)), shared_(shared), now_(std::move(now)) {}

  absl::StatusOr<std::string> Get() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (made_.ok() && now_() - made_at_ < shared_) return made_;
    made_ = make_();
    made_at_ = now_();
    return made_;
  }

 private:
  const std::function<absl::StatusOr<std::string>()> make_;
  const absl::Duration shared_;
  const std::function<absl::Time()> now_;
  absl::Mutex mu_;
  absl::StatusOr<std::string> made_ ABSL_GUARDED_BY(mu_) = absl::UnavailableError("not made yet");
  absl::Time made_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace samovar
