#include "common/http/retries.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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

absl::StatusOr<HttpResponse> WithRetries(
    const RetryPolicy& policy, const std::string& place,
    absl::FunctionRef<absl::StatusOr<HttpResponse>(const RequestWatch& watch)> attempt) {
  const Stopper never;
  const Stopper& stopper = policy.stopper != nullptr ? *policy.stopper : never;
  const absl::Status stopped =
      absl::CancelledError(absl::StrCat(place, ": was not waited for: this process is to end"));
  const absl::Time begun = SteadyNow(), end = begun + policy.patience;
  const RequestWatch watch = [&](absl::Duration still) {
    if (stopper.stopped()) return stopped;
    // The request may end by itself, and the next one begin in time.
    const absl::Time given_up = std::max(end, SteadyNow() + HttpRequest().stall - still);
    if (policy.news != nullptr && still >= WaitNews::kToldAfter) {
      policy.news->Waits(place, SteadyNow() - begun, given_up - SteadyNow());
    }
    return absl::OkStatus();
  };
  Backoff backoff(policy.first_wait, policy.longest_wait, static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  while (true) {
    if (stopper.stopped()) return stopped;
    absl::StatusOr<HttpResponse> result = attempt(watch);
    if (EndsHere(result)) return result;
    const absl::Duration wait = std::max(backoff.Next(), RetryAfter(result));
    const absl::Time next = SteadyNow() + wait;
    if (next >= end) return result;
    if (policy.news != nullptr) policy.news->Waits(place, next - begun, end - SteadyNow());
    if (stopper.WaitFor(wait)) return stopped;
  }
}

}  // namespace samovar
