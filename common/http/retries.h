// Requests that are made again while a server is busy, or cannot be reached.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "common/http/http_client.h"
#include "common/http/wait_news.h"

namespace samovar {

struct RetryPolicy {
  // No request is begun once this time has passed since the first.
  absl::Duration patience = absl::Minutes(1);
  // Between requests, doubling; a server's Retry-After is waited for instead, kLongestRetryAfter at most.
  absl::Duration first_wait = absl::Milliseconds(200);
  absl::Duration longest_wait = absl::Seconds(5);
  // Once it is stopped, requests and waits end with CANCELLED, and none is begun. May be null.
  std::shared_ptr<const Stopper> stopper = nullptr;
  // Hears of long waits. May be null.
  std::shared_ptr<WaitNews> news = nullptr;
};

inline constexpr absl::Duration kLongestRetryAfter = absl::Seconds(30);

// Whether a request that was answered so may pass when it is made again: 408, 429, 500, 502, 503, 504.
bool MayPassLater(int status);

// HttpRequest::watch of a request that is made under a policy.
using RequestWatch = std::function<absl::Status(absl::Duration still)>;

// Makes `attempt`'s request, with the given watch, until it passes, fails for good or the patience has ended; the last
// result. Requests that may be made again: what they do twice must be what they do once. `place`: what people know the
// server as.
absl::StatusOr<HttpResponse> WithRetries(
    const RetryPolicy& policy, const std::string& place,
    absl::FunctionRef<absl::StatusOr<HttpResponse>(const RequestWatch& watch)> attempt);

}  // namespace samovar
