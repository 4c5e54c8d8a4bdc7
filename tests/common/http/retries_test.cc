#include "common/http/retries.h"

#include <vector>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr RetryPolicy kQuick = {
    .patience = absl::Seconds(60), .first_wait = absl::Milliseconds(1), .longest_wait = absl::Milliseconds(2)};

TEST_CASE("a busy server and a connection that fails are tried again, until there is an answer") {
  const std::vector<absl::StatusOr<HttpResponse>> results = {HttpResponse{.status = 503}, absl::UnavailableError("cut"),
                                                             HttpResponse{.status = 429}, HttpResponse{.status = 500},
                                                             HttpResponse{.status = 200}, HttpResponse{.status = 400}};
  size_t attempts = 0;
  const auto response = WithRetries(kQuick, [&] { return results.at(attempts++); });
  REQUIRE_OK(response);
  CHECK(response->status == 200);
  CHECK(attempts == 5);
}

TEST_CASE("what cannot pass is not tried again") {
  for (const int status : {301, 400, 403, 404, 409, 412, 501}) {
    int attempts = 0;
    const auto response = WithRetries(kQuick, [&]() -> absl::StatusOr<HttpResponse> {
      ++attempts;
      return HttpResponse{.status = status};
    });
    CHECK(response->status == status);
    CHECK(attempts == 1);
  }
  int attempts = 0;
  const auto wrong = WithRetries(kQuick, [&]() -> absl::StatusOr<HttpResponse> {
    ++attempts;
    return absl::InvalidArgumentError("no URL");
  });
  REQUIRE_STATUS(wrong.status(), absl::StatusCode::kInvalidArgument, "no URL");
  CHECK(attempts == 1);
}

TEST_CASE("at the patience's end the last result is returned") {
  int attempts = 0;
  const RetryPolicy impatient = {
      .patience = absl::Milliseconds(20), .first_wait = absl::Milliseconds(1), .longest_wait = absl::Milliseconds(2)};
  const auto response = WithRetries(impatient, [&]() -> absl::StatusOr<HttpResponse> {
    ++attempts;
    return HttpResponse{.status = 503};
  });
  REQUIRE_OK(response);
  CHECK(response->status == 503);
  CHECK(attempts > 1);
}

TEST_CASE("a server that says when to come again is not asked before, nor beyond the patience") {
  int attempts = 0;
  const auto response = WithRetries({.patience = absl::Milliseconds(500), .first_wait = absl::Milliseconds(1)},
                                    [&]() -> absl::StatusOr<HttpResponse> {
                                      ++attempts;
                                      return HttpResponse{.status = 503, .headers = {"Retry-After: 20"}};
                                    });
  CHECK(response->status == 503);
  CHECK(attempts == 1);
}

}  // namespace
}  // namespace samovar
