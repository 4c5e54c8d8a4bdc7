#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

bool SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// More bytes of the connection behind those in `buffer`; false: it has ended.
bool ReceiveMore(int fd, std::string* buffer) {
  char bytes[65536];
  const ssize_t count = recv(fd, bytes, sizeof(bytes), 0);
  if (count <= 0) return false;
  buffer->append(bytes, static_cast<size_t>(count));
  return true;
}

bool ReceiveRequest(int fd, std::string* buffer, HttpServer::Request* request) {
  size_t end = 0;
  while ((end = buffer->find("\r\n\r\n")) == std::string::npos) {
    if (!ReceiveMore(fd, buffer)) return false;
  }
  const std::string head = buffer->substr(0, end);
  buffer->erase(0, end + 4);
  const std::vector<std::string> lines = absl::StrSplit(head, "\r\n");
  const std::vector<std::string> words = absl::StrSplit(lines.front(), ' ');
  request->method = words.at(0);
  request->target = words.at(1);
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> header = absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    request->headers[absl::AsciiStrToLower(header.first)] = std::string(absl::StripAsciiWhitespace(header.second));
  }
  size_t bytes = 0;
  if (!absl::SimpleAtoi(request->headers["content-length"], &bytes)) bytes = 0;
  while (buffer->size() < bytes) {
    if (!ReceiveMore(fd, buffer)) return false;
  }
  request->body = buffer->substr(0, bytes);
  buffer->erase(0, bytes);
  return true;
}

}  // namespace

HttpServer::HttpServer(std::function<Response(const Request&)> answer)
    : answer_(std::move(answer)), listening_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(listening_, 64) == 0);
  socklen_t length = sizeof(address);
  REQUIRE(getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    shutdown(listening_, SHUT_RDWR);
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  acceptor_.join();
  {
    absl::MutexLock lock(&mu_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  close(listening_);
}

std::string HttpServer::url() const { return absl::StrCat("http://127.0.0.1:", port_); }

std::vector<HttpServer::Request> HttpServer::requests() const {
  absl::MutexLock lock(&mu_);
  return requests_;
}

void HttpServer::Accept() {
  while (true) {
    const int fd = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    absl::MutexLock lock(&mu_);
    if (stopping_) {
      close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpServer::Serve(int fd) {
  std::string buffer;
  for (Request request; ReceiveRequest(fd, &buffer, &request); request = Request()) {
    Response response;
    {
      absl::MutexLock lock(&mu_);
      requests_.push_back(request);
      response = answer_(request);
    }
    std::string head = absl::StrCat("HTTP/1.1 ", response.status, " Said\r\n");
    for (const std::string& header : response.headers) absl::StrAppend(&head, header, "\r\n");
    if (!absl::StrContains(absl::AsciiStrToLower(head), "\r\ncontent-length:")) {
      absl::StrAppend(&head, "Content-Length: ", response.body.size(), "\r\n");
    }
    if (!SendAll(fd, head + "\r\n")) break;
    if (request.method != "HEAD" && !SendAll(fd, absl::string_view(response.body).substr(0, response.sent_bytes)))
      break;
    if (response.sent_bytes < response.body.size()) break;
  }
  absl::MutexLock lock(&mu_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  close(fd);
}

}  // namespace samovar
