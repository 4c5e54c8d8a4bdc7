// HttpClient makes HTTP requests, each whole or failed: the one user of libcurl.
//
//   HttpClient client;
//   absl::StatusOr<HttpResponse> response = client.Send({.url = "https://host/x"});
//
// Connections are kept and used again. A request in which nothing moves for HttpRequest::stall ends with UNAVAILABLE.
// Errors name the server, and never the rest of the URL, which may hold a signature.
//
// Thread safety: all methods may be called from any thread; requests run beside each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace samovar {

// The body of a request: bytes in memory, or a part of a file. Neither is copied.
struct HttpBody {
  absl::string_view bytes = "";
  // Read with pread from `offset` on, `file_bytes` bytes; -1: `bytes` are sent. The caller closes it.
  int fd = -1;
  uint64_t offset = 0;
  uint64_t file_bytes = 0;

  uint64_t size() const { return fd >= 0 ? file_bytes : bytes.size(); }
};

struct HttpRequest {
  std::string method = "GET";
  // http: or https:, percent-encoded.
  std::string url = "";
  // "Name: value" each.
  std::vector<std::string> headers = {};
  HttpBody body = {};
  // Takes the body of an answer of 200 to 299, piece by piece as it comes; an error ends the request, which returns it.
  // Without one, and for other answers, the body is kept in HttpResponse::body.
  std::function<absl::Status(absl::string_view)> sink = nullptr;
  // Called about once a second, on the request's thread, with the time for which nothing has come or gone; an error
  // ends the request, which returns it.
  std::function<absl::Status(absl::Duration still)> watch = nullptr;
  // Identifies the user by the process's Kerberos ticket (SPNEGO).
  bool negotiate = false;
  // Goes past the proxies that the environment names.
  bool direct = false;
  absl::Duration connect_timeout = absl::Seconds(10);
  // The longest time in which less than a byte a second may come or go.
  absl::Duration stall = absl::Seconds(30);
};

struct HttpResponse {
  int status = 0;
  // "Name: value" each, of the answer that ended the request.
  std::vector<std::string> headers = {};
  // At most kMaxKeptBytes.
  std::string body = "";

  // The value of the first header of this name, in any case of letters; empty if there is none.
  absl::string_view Header(absl::string_view name) const;
  bool ok() const { return status >= 200 && status < 300; }
};

class HttpClient {
 public:
  // The largest body that is kept: answers without a sink, which are lists and errors.
  static constexpr size_t kMaxKeptBytes = 64 << 20;
  // Connections that wait for their next request.
  static constexpr size_t kMaxIdle = 16;

  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any answer of the server is OK here, whatever its status. UNAVAILABLE: no answer, or half of one;
  // INVALID_ARGUMENT: no URL; RESOURCE_EXHAUSTED: the body is larger than what is kept; otherwise what the sink, or the
  // watch, said.
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request);

 private:
  // Owns a handle of libcurl, with its connections.
  class Handle;

  std::unique_ptr<Handle> Take() ABSL_LOCKS_EXCLUDED(mu_);
  void Keep(std::unique_ptr<Handle> handle) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  std::vector<std::unique_ptr<Handle>> idle_ ABSL_GUARDED_BY(mu_);
};

// "https://host:port" of a URL: what errors and logs may show of it.
std::string HttpOrigin(absl::string_view url);

// Percent-encodes what may not stand in a path as it is; "/" stays.
std::string EncodeUrlPath(absl::string_view path);
// Percent-encodes a name or a value of a query.
std::string EncodeUrlValue(absl::string_view value);
// INVALID_ARGUMENT: a "%" without two hexadecimal digits.
absl::StatusOr<std::string> DecodeUrl(absl::string_view text);

}  // namespace samovar
