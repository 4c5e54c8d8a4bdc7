#include "common/remote/http_store.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

using Request = HttpServer::Request;
using Response = HttpServer::Response;

TEST_CASE("a file of a web server is read whole or in parts of one version, and never written") {
  HttpServer server([](const Request& request) {
    if (absl::StartsWith(request.target, "/none")) return Response{.status = 404};
    if (request.method == "HEAD") return Response{.headers = {"Content-Length: 10", "ETag: \"v1\""}};
    const auto range = request.headers.find("range");
    if (range == request.headers.end()) return Response{.body = "0123456789"};
    return Response{.status = 206, .body = "3456"};
  });
  HttpStore store(std::make_shared<HttpClient>());
  const std::string uri = server.url() + "/f?sig=SECRET";
  const auto file = store.Stat(uri);
  REQUIRE_OK(file);
  CHECK(file->bytes == 10);
  std::string whole(10, '\0'), part(4, '\0');
  REQUIRE_OK(store.Read(uri, *file, 0, whole));
  CHECK(whole == "0123456789");
  REQUIRE_OK(store.Read(uri, *file, 3, part));
  CHECK(part == "3456");
  CHECK(server.requests().back().headers.at("range") == "bytes=3-6");
  CHECK(server.requests().back().headers.at("if-match") == "\"v1\"");
  const absl::Status none = store.Stat(server.url() + "/none?sig=SECRET").status();
  REQUIRE_STATUS(none, absl::StatusCode::kNotFound, "/none: the server answers 404");
  CHECK_FALSE(absl::StrContains(none.message(), "SECRET"));
  for (const absl::Status& refused : {store.Write(uri, 0, 0), store.Remove(uri)}) {
    REQUIRE_STATUS(refused, absl::StatusCode::kInvalidArgument, "are for reading");
  }
  REQUIRE_STATUS(store.List(uri).status(), absl::StatusCode::kInvalidArgument, "no directories");
}

TEST_CASE("parts of another version are refused, also from a server that does not heed If-Match") {
  HttpServer server(
      [](const Request&) { return Response{.status = 206, .headers = {"ETag: \"v2\""}, .body = "3456"}; });
  HttpStore store(std::make_shared<HttpClient>());
  std::string part(4, '\0');
  REQUIRE_STATUS(store.Read(server.url() + "/f", {.bytes = 10, .version = "\"v1\""}, 3, part),
                 absl::StatusCode::kAborted, "was changed while it was read");
  REQUIRE_OK(store.Read(server.url() + "/f", {.bytes = 10, .version = "\"v2\""}, 3, part));
}

TEST_CASE("a URI with a password is refused without it, and a redirect is told") {
  HttpServer server([](const Request&) { return Response{.status = 302}; });
  HttpStore store(std::make_shared<HttpClient>());
  const absl::Status refused = store.Stat("http://user:SECRET@127.0.0.1:1/f?sig=SECRET").status();
  REQUIRE_STATUS(refused, absl::StatusCode::kInvalidArgument, "http://127.0.0.1:1/f: a user or a password");
  CHECK_FALSE(absl::StrContains(refused.message(), "SECRET"));
  REQUIRE_STATUS(store.Stat(server.url() + "/f").status(), absl::StatusCode::kInvalidArgument,
                 "redirects are not followed");
}

TEST_CASE("characters that no URL has are encoded, once, and a URL that would be another file's is refused") {
  HttpServer server([](const Request&) { return Response{.headers = {"Content-Length: 10"}}; });
  HttpStore store(std::make_shared<HttpClient>());
  const auto asked = [&](const std::string& path) {
    REQUIRE_OK(store.Stat(server.url() + path));
    return server.requests().back().target;
  };
  CHECK(asked("/my nets/n\xc3\xa4t.prototxt") == "/my%20nets/n%C3%A4t.prototxt");
  CHECK(asked("/my%20nets/a?sig=a/b%2Fc&x=1+2") == "/my%20nets/a?sig=a/b%2Fc&x=1+2");
  CHECK(asked("/100%/a%zz") == "/100%25/a%25zz");
  CHECK(asked("/a\"b<c>|d") == "/a%22b%3Cc%3E%7Cd");
  REQUIRE_STATUS(store.Stat(server.url() + "/a#b"), absl::StatusCode::kInvalidArgument, "as %23");
  REQUIRE_STATUS(store.Stat(server.url() + "/a\nb"), absl::StatusCode::kInvalidArgument, "as %0A");
}

TEST_CASE("a file that needs a signature, and is named without one, is told of it") {
  HttpServer server([](const Request&) { return Response{.status = 403}; });
  HttpStore store(std::make_shared<HttpClient>());
  REQUIRE_STATUS(store.Stat(server.url() + "/net.prototxt"), absl::StatusCode::kPermissionDenied,
                 "a relative name beside a signed URL has none");
  const absl::Status refused = store.Stat(server.url() + "/net.prototxt?sig=SECRET").status();
  CHECK_FALSE(absl::StrContains(refused.message(), "signature"));
}

TEST_CASE("a server that sends all when it is asked for a part is not believed") {
  HttpServer server([](const Request&) { return Response{.body = "0123456789"}; });
  HttpStore store(std::make_shared<HttpClient>());
  std::string part(4, '\0');
  REQUIRE_STATUS(store.Read(server.url() + "/f", {.bytes = 10}, 3, part), absl::StatusCode::kInvalidArgument,
                 "does not send parts of files");
}

}  // namespace
}  // namespace samovar
