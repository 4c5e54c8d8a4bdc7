#include "common/pages/page_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/pages/gzip.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

int Connect(const std::string& address) {
  int port = 0;
  REQUIRE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0);
  return fd;
}

// Sends the bytes, and reads until the other end closes.
std::string Exchange(const std::string& address, const std::string& request) {
  const int fd = Connect(address);
  size_t sent = 0;
  while (sent < request.size()) {
    const ssize_t n = send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

std::string Get(const std::string& address, const std::string& path) {
  return Exchange(address, absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
}

std::unique_ptr<PageServer> Start(const std::map<std::string, PageServer::Handler>& pages) {
  auto server = PageServer::Start("127.0.0.1:0", pages);
  REQUIRE_OK(server);
  return *std::move(server);
}

TEST_CASE("pages are found by their paths, with their parameters") {
  const auto server = Start({
      {"/a",
       [](const PageRequest&) {
         return Page{200, "text/plain", "page a"};
       }},
      {"/jobs/",
       [](const PageRequest& request) {
         return Page{200, "text/plain", absl::StrCat(request.path, " ", request.parameters.at("q"))};
       }},
      {"/throws", [](const PageRequest&) -> Page { throw std::runtime_error("no luck"); }},
  });
  const std::string answer = Get(server->address(), "/a");
  CHECK(absl::StartsWith(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(absl::EndsWith(answer, "\r\n\r\npage a"));
  CHECK(absl::StrContains(answer, "Content-Security-Policy: default-src 'self'"));
  CHECK(absl::EndsWith(Get(server->address(), "/jobs/x%20y?p=&q=1%26+2"), "/jobs/x y 1& 2"));
  CHECK(absl::StartsWith(Get(server->address(), "/b"), "HTTP/1.1 404"));
  CHECK(absl::StartsWith(Get(server->address(), "/throws"), "HTTP/1.1 503"));
  CHECK(absl::StrContains(Get(server->address(), "/throws"), "no luck"));
  CHECK(absl::StartsWith(
      Exchange(server->address(), "POST /a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"), "HTTP/1.1 405"));
  const std::string head = Exchange(server->address(), "HEAD /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  CHECK(absl::StrContains(head, "Content-Length: 6"));
  CHECK(absl::EndsWith(head, "\r\n\r\n"));
}

TEST_CASE("a page is compressed for whoever takes it so") {
  const std::string text(10000, 'x');
  const auto server = Start({{"/a", [&](const PageRequest&) { return Page{200, "text/plain", text, Gzip(text)}; }}});
  const auto get = [&](const std::string& accepted) {
    return Exchange(server->address(), absl::StrCat("GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n", accepted, "\r\n"));
  };
  const std::string compressed = get("Accept-Encoding: deflate, gzip, br\r\n");
  CHECK(absl::StrContains(compressed, "\r\nContent-Encoding: gzip\r\n"));
  CHECK(absl::StrContains(compressed, "\r\n\r\n\x1f\x8b"));
  CHECK(compressed.size() < 1000);
  for (const char* accepted : {"", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n"}) {
    INFO(accepted);
    CHECK(absl::EndsWith(get(accepted), text));
    CHECK_FALSE(absl::StrContains(get(accepted), "Content-Encoding"));
  }
}

TEST_CASE("a page of elsewhere whose name leads here is answered nothing") {
  const auto server = Start({{"/", [](const PageRequest&) { return Page{200, "text/plain", "home"}; }}});
  const auto get = [&](const std::string& host) {
    return Exchange(server->address(), absl::StrCat("GET / HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
  };
  for (const char* host :
       {"localhost", "LOCALHOST", "localhost:7180", "127.0.0.1:7180", "127.1.2.3", "[::1]:7180", "[::1]"}) {
    INFO(host);
    CHECK(absl::EndsWith(get(host), "home"));
  }
  for (const char* host :
       {"evil.example", "evil.example:7180", "localhost.evil.example", "10.0.0.1", "127.evil.example",
        "127.0.0.1.evil.example:7180", "127.0.0.1evil.example", "127.0.0.1@evil.example"}) {
    INFO(host);
    CHECK(absl::StartsWith(get(host), "HTTP/1.1 403"));
  }
}

TEST_CASE("garbage does no harm") {
  const auto server = Start({{"/", [](const PageRequest&) { return Page{200, "text/plain", "home"}; }}});
  CHECK_FALSE(absl::StrContains(Exchange(server->address(), "\0\xff\r\n\r\n"), "home"));
  CHECK_FALSE(absl::StrContains(
      Exchange(server->address(), absl::StrCat("GET /", std::string(100000, 'a'), "\r\n\r\n")), "200 OK"));
  CHECK(absl::StrContains(Get(server->address(), "/../../etc/passwd"), "home") !=
        absl::StrContains(Get(server->address(), "/../../etc/passwd"), "root:"));
  CHECK(absl::EndsWith(Get(server->address(), "/"), "home"));
  for (const char* path : {"/?a=%ff", "/?%1b=1", "/?a=%00", "/%0a"}) {
    INFO(path);
    CHECK_FALSE(absl::StartsWith(Get(server->address(), path), "HTTP/1.1 200"));
  }
}

TEST_CASE("connections that send nothing hold up nobody") {
  const auto server = Start({{"/", [](const PageRequest&) { return Page{200, "text/plain", "home"}; }}});
  std::vector<int> silent;
  for (int i = 0; i < 16; ++i) silent.push_back(Connect(server->address()));
  CHECK(absl::EndsWith(Get(server->address(), "/"), "home"));
  // The answer did not wait until they were closed.
  int open = 0;
  for (const int fd : silent) {
    char byte = 0;
    if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0) ++open;
    close(fd);
  }
  CHECK(open == 16);
}

TEST_CASE("an address that cannot be served is refused") {
  for (const char* address : {"", "7100", ":7100", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:80,127.0.0.1:81"}) {
    INFO(address);
    CHECK(PageServer::Start(address, {}).status().code() == absl::StatusCode::kInvalidArgument);
  }
  const auto server = Start({});
  REQUIRE_STATUS(PageServer::Start(server->address(), {}).status(), absl::StatusCode::kUnavailable, "another process");
}

}  // namespace
}  // namespace samovar
