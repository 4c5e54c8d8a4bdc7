// Requests that are made again while a server is busy, or cannot be reached.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_client.h"

namespace samovar {

struct RetryPolicy {
  // No request is begun once this time has passed since the first.
  absl::Duration patience = absl::Minutes(1);
  // Between requests, doubling; a server's Retry-After is waited for instead, kLongestRetryAfter at most.
  absl::Duration first_wait = absl::Milliseconds(200);
  absl::Duration longest_wait = absl::Seconds(5);
};

inline constexpr absl::Duration kLongestRetryAfter = absl::Seconds(30);

// Whether a request that was answered so may pass when it is made again: 408, 429, 500, 502, 503, 504.
bool MayPassLater(int status);

// Makes `attempt`'s request until it passes, fails for good or the patience has ended; the last result. Requests that
// may be made again: what they do twice must be what they do once.
absl::StatusOr<HttpResponse> WithRetries(const RetryPolicy& policy,
                                         absl::FunctionRef<absl::StatusOr<HttpResponse>()> attempt);

}  // namespace samovar
