#include "common/http/retries.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"

namespace samovar {
namespace {

bool EndsHere(const absl::StatusOr<HttpResponse>& result) {
  return result.ok() ? !MayPassLater(result->status) : !absl::IsUnavailable(result.status());
}

// Zero: the server does not say, or names a day.
absl::Duration RetryAfter(const absl::StatusOr<HttpResponse>& result) {
  int64_t seconds = 0;
  if (!result.ok() || !absl::SimpleAtoi(result->Header("Retry-After"), &seconds) || seconds < 0) {
    return absl::ZeroDuration();
  }
  return std::min(absl::Seconds(seconds), kLongestRetryAfter);
}

}  // namespace

bool MayPassLater(int status) {
  return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

absl::StatusOr<HttpResponse> WithRetries(const RetryPolicy& policy,
                                         absl::FunctionRef<absl::StatusOr<HttpResponse>()> attempt) {
  const absl::Time end = SteadyNow() + policy.patience;
  Backoff backoff(policy.first_wait, policy.longest_wait, static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  while (true) {
    absl::StatusOr<HttpResponse> result = attempt();
    if (EndsHere(result)) return result;
    const absl::Duration wait = std::max(backoff.Next(), RetryAfter(result));
    if (SteadyNow() + wait >= end) return result;
    absl::SleepFor(wait);
  }
}

}  // namespace samovar
