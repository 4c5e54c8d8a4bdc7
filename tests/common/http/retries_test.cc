#include "common/http/retries.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

const RetryPolicy kQuick = {
    .patience = absl::Seconds(60), .first_wait = absl::Milliseconds(1), .longest_wait = absl::Milliseconds(2)};

TEST_CASE("a busy server and a connection that fails are tried again, until there is an answer") {
  const std::vector<absl::StatusOr<HttpResponse>> results = {HttpResponse{.status = 503}, absl::UnavailableError("cut"),
                                                             HttpResponse{.status = 429}, HttpResponse{.status = 500},
                                                             HttpResponse{.status = 200}, HttpResponse{.status = 400}};
  size_t attempts = 0;
  const auto response = WithRetries(kQuick, "place", [&](const RequestWatch&) { return results.at(attempts++); });
  REQUIRE_OK(response);
  CHECK(response->status == 200);
  CHECK(attempts == 5);
}

TEST_CASE("what cannot pass is not tried again") {
  for (const int status : {301, 400, 403, 404, 409, 412, 501}) {
    int attempts = 0;
    const auto response = WithRetries(kQuick, "place", [&](const RequestWatch&) -> absl::StatusOr<HttpResponse> {
      ++attempts;
      return HttpResponse{.status = status};
    });
    CHECK(response->status == status);
    CHECK(attempts == 1);
  }
  int attempts = 0;
  const auto wrong = WithRetries(kQuick, "place", [&](const RequestWatch&) -> absl::StatusOr<HttpResponse> {
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
  const auto response = WithRetries(impatient, "place", [&](const RequestWatch&) -> absl::StatusOr<HttpResponse> {
    ++attempts;
    return HttpResponse{.status = 503};
  });
  REQUIRE_OK(response);
  CHECK(response->status == 503);
  CHECK(attempts > 1);
}

TEST_CASE("a server that says when to come again is not asked before, nor beyond the patience") {
  int attempts = 0;
  const auto response = WithRetries({.patience = absl::Milliseconds(500), .first_wait = absl::Milliseconds(1)}, "place",
                                    [&](const RequestWatch&) -> absl::StatusOr<HttpResponse> {
                                      ++attempts;
                                      return HttpResponse{.status = 503, .headers = {"Retry-After: 20"}};
                                    });
  CHECK(response->status == 503);
  CHECK(attempts == 1);
}

TEST_CASE("a process that is to end waits for no server, and ends requests that are under way") {
  const auto stopper = std::make_shared<Stopper>();
  RetryPolicy policy = {
      .patience = absl::Hours(1), .first_wait = absl::Hours(1), .longest_wait = absl::Hours(1), .stopper = stopper};
  int attempts = 0;
  std::thread other;
  const auto waiting =
      WithRetries(policy, "hdfs://main", [&](const RequestWatch& watch) -> absl::StatusOr<HttpResponse> {
        ++attempts;
        REQUIRE_OK(watch(absl::ZeroDuration()));
        other = std::thread([&] { stopper->Stop(); });
        return absl::UnavailableError("cut");
      });
  other.join();
  REQUIRE_STATUS(waiting.status(), absl::StatusCode::kCancelled, "hdfs://main: ");
  CHECK(attempts == 1);
  REQUIRE_STATUS(WithRetries(policy, "x", [&](const RequestWatch&) { return HttpResponse{.status = 200}; }).status(),
                 absl::StatusCode::kCancelled, "to end");
  // A server that takes the request and never answers.
  const auto later = std::make_shared<Stopper>();
  policy.stopper = later;
  std::atomic<bool> go_on = false;
  HttpServer silent([&](const HttpServer::Request&) {
    later->Stop();
    while (!go_on) std::this_thread::yield();
    return HttpServer::Response{};
  });
  HttpClient client;
  const auto cut = WithRetries(policy, "x", [&](const RequestWatch& watch) {
    HttpRequest request = {.url = silent.url(), .watch = watch};
    request.stall = absl::Hours(1);
    return client.Send(request);
  });
  go_on = true;
  REQUIRE_STATUS(cut.status(), absl::StatusCode::kCancelled, "to end");
}

TEST_CASE("a wait of some seconds is told once a place, with its end") {
  std::vector<std::string> told;
  const auto news = std::make_shared<WaitNews>([&](const std::string& text) { told.push_back(text); });
  const RetryPolicy policy = {.patience = absl::Seconds(60),
                              .first_wait = absl::Milliseconds(1),
                              .longest_wait = absl::Milliseconds(2),
                              .news = news};
  int attempts = 0;
  const auto answered =
      WithRetries(policy, "hdfs://main", [&](const RequestWatch& watch) -> absl::StatusOr<HttpResponse> {
        REQUIRE_OK(watch(absl::Seconds(1)));
        return HttpResponse{.status = ++attempts < 3 ? 503 : 200};
      });
  REQUIRE_OK(answered);
  CHECK(told.empty());
  news->Waits("hdfs://main", absl::Seconds(5), absl::Seconds(55));
  news->Waits("hdfs://main", absl::Seconds(6), absl::Seconds(54));
  news->Waits("hdfs://other", absl::Seconds(6), absl::Seconds(54));
  REQUIRE(told.size() == 2);
  CHECK_THAT(told[0], Catch::StartsWith("waits for hdfs://main, ") && Catch::Contains("tries until ") &&
                          Catch::EndsWith(", 55 s more"));
}

}  // namespace
}  // namespace samovar
