// RecentPage is a page that is costly to make and that many ask for: all that ask within a while get the same one.
//
// Thread safety: any thread. Whoever comes while it is made waits for it.
#pragma once

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/pages/page_server.h"

namespace samovar {

class RecentPage {
 public:
  // A page of `make` is given out for `shared`; one with an error is not. `now`: as SteadyNow.
  RecentPage(std::function<Page()> make, absl::Duration shared, std::function<absl::Time()> now = SteadyNow)
      : make_(std::move(make)), shared_(shared), now_(std::move(now)) {}

  Page Get() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (now_() - made_at_ < shared_) return made_;
    made_ = make_();
    made_at_ = made_.code == 200 ? now_() : absl::InfinitePast();
    return made_;
  }

 private:
  const std::function<Page()> make_;
  const absl::Duration shared_;
  const std::function<absl::Time()> now_;
  absl::Mutex mu_;
  Page made_ ABSL_GUARDED_BY(mu_);
  absl::Time made_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace samovar
