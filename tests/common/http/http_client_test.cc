#include "common/http/http_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using Request = HttpServer::Request;
using Response = HttpServer::Response;

TEST_CASE("an answer of any status is an answer, with its headers and its body") {
  HttpServer server([](const Request&) { return Response{.status = 404, .headers = {"X-Why: gone"}, .body = "no"}; });
  HttpClient client;
  const auto response = client.Send({.url = server.url() + "/a?b=c", .headers = {"X-Asks: me"}});
  REQUIRE_OK(response);
  CHECK(response->status == 404);
  CHECK_FALSE(response->ok());
  CHECK(response->Header("x-why") == "gone");
  CHECK(response->Header("x-wh") == "");
  CHECK(response->body == "no");
  const Request asked = server.requests().at(0);
  CHECK(asked.method == "GET");
  CHECK(asked.target == "/a?b=c");
  CHECK(asked.headers.at("x-asks") == "me");
}

TEST_CASE("each method goes as it is named, with its body's length, no bytes included") {
  HttpServer server([](const Request&) { return Response{}; });
  HttpClient client;
  for (const char* method : {"GET", "HEAD", "PUT", "POST", "DELETE"}) {
    REQUIRE_OK(client.Send({.method = method, .url = server.url()}));
    CHECK(server.requests().back().method == method);
  }
  REQUIRE_OK(client.Send({.method = "PUT", .url = server.url(), .body = {.bytes = "some bytes"}}));
  CHECK(server.requests().back().body == "some bytes");
  REQUIRE_OK(client.Send({.method = "PUT", .url = server.url()}));
  CHECK(server.requests().back().headers.at("content-length") == "0");
  CHECK(server.requests().back().headers.count("expect") == 0);
}

TEST_CASE("a part of a file is sent, and one that became shorter ends the request") {
  HttpServer server([](const Request&) { return Response{}; });
  HttpClient client;
  FILE* file = tmpfile();
  REQUIRE(file != nullptr);
  const int fd = fileno(file);
  REQUIRE(write(fd, "0123456789", 10) == 10);
  REQUIRE_OK(client.Send({.method = "PUT", .url = server.url(), .body = {.fd = fd, .offset = 3, .file_bytes = 4}}));
  CHECK(server.requests().back().body == "3456");
  REQUIRE_STATUS(
      client.Send({.method = "PUT", .url = server.url(), .body = {.fd = fd, .offset = 8, .file_bytes = 4}}).status(),
      absl::StatusCode::kDataLoss, "became shorter");
  fclose(file);
}

TEST_CASE("a sink takes the body of a success alone, and its error ends the request") {
  int status = 200;
  HttpServer server([&](const Request&) { return Response{.status = status, .body = std::string(100'000, 'x')}; });
  HttpClient client;
  size_t taken = 0;
  const HttpRequest request = {.url = server.url(), .sink = [&](absl::string_view bytes) {
                                 taken += bytes.size();
                                 return absl::OkStatus();
                               }};
  auto response = client.Send(request);
  REQUIRE_OK(response);
  CHECK(taken == 100'000);
  CHECK(response->body.empty());
  status = 500;
  response = client.Send(request);
  REQUIRE_OK(response);
  CHECK(taken == 100'000);
  CHECK(response->body.size() == 100'000);
  status = 200;
  REQUIRE_STATUS(
      client.Send({.url = server.url(), .sink = [](absl::string_view) { return absl::AbortedError("enough"); }})
          .status(),
      absl::StatusCode::kAborted, "enough");
}

TEST_CASE("half an answer, a server that is not there and a URL that is none are told by the server's name alone") {
  HttpServer server([](const Request&) { return Response{.body = "0123456789", .sent_bytes = 5}; });
  HttpClient client;
  const absl::Status half = client.Send({.url = server.url() + "/path?sig=SECRET"}).status();
  CHECK(half.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(half.message()), Catch::Contains(server.url()) && !Catch::Contains("SECRET"));
  const absl::Status absent = client.Send({.url = "http://127.0.0.1:1/x?sig=SECRET"}).status();
  CHECK(absent.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(absent.message()), Catch::Contains("http://127.0.0.1:1: ") && !Catch::Contains("SECRET"));
  CHECK(client.Send({.url = "file:///etc/passwd"}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(client.Send({.url = "http://"}).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a server that falls silent is given up") {
  std::atomic<bool> go_on = false;
  HttpServer server([&](const Request&) {
    while (!go_on) std::this_thread::yield();
    return Response{};
  });
  HttpClient client;
  REQUIRE_STATUS(client.Send({.url = server.url(), .stall = absl::Seconds(1)}).status(), absl::StatusCode::kUnavailable,
                 server.url());
  go_on = true;
}

TEST_CASE("requests from several threads run beside each other, and use connections again") {
  HttpServer server([](const Request& request) { return Response{.body = request.target}; });
  HttpClient client;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 25; ++j) {
        const std::string target = absl::StrCat("/", i, "/", j);
        const auto response = client.Send({.url = server.url() + target});
        if (response.ok() && response->body == target) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 100);
}

TEST_CASE("what may stand in a URL is kept, all else is percent-encoded, and decoded again") {
  const std::string text = "a b/ü?&=%+~-._";
  CHECK(EncodeUrlPath(text) == "a%20b/%C3%BC%3F%26%3D%25%2B~-._");
  CHECK(EncodeUrlValue("a/b") == "a%2Fb");
  CHECK(DecodeUrl(EncodeUrlValue(text)).value() == text);
  REQUIRE_STATUS(DecodeUrl("a%2").status(), absl::StatusCode::kInvalidArgument, "hexadecimal");
  CHECK(HttpOrigin("https://user:word@host:1/x?y") == "https://host:1");
}

}  // namespace
}  // namespace samovar
