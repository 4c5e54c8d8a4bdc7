#include "common/http/wait_news.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"

namespace samovar {

void WaitNews::Waits(const std::string& place, absl::Duration waited, absl::Duration left) {
  if (waited < kToldAfter) return;
  {
    absl::MutexLock lock(&mu_);
    const absl::Time now = SteadyNow();
    const auto [told, is_new] = told_.emplace(place, now);
    if (!is_new && now - told->second < kToldEvery) return;
    told->second = now;
  }
  left = std::max(left, absl::ZeroDuration());
  tell_(absl::StrCat("waits for ", place, ", which is busy or does not answer; tries until ",
                     absl::FormatTime("%H:%M:%S", absl::Now() + left, absl::LocalTimeZone()), ", ",
                     absl::ToInt64Seconds(left), " s more"));
}

}  // namespace samovar
