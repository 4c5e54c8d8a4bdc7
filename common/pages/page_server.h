// PageServer answers GET requests on one port: for browsers, Prometheus, and whoever looks whether a process lives.
// The door to civetweb.
//
// It is bounded: 32 threads, requests of 16 KiB at most, and 3 s until one has come: silent connections hold up others
// for no longer. It changes nothing, has no TLS, and listens
// where the operator says, which is on loopback if nobody says anything.
//
// civetweb: it is in the distribution (prometheus-cpp's package needs it), has a thread pool and time limits, could
// have TLS through OpenSSL, and its package gets security updates. cpp-httplib 0.11 is a header that every user
// compiles; Boost.Beast is parts of a server only.
//
// Thread safety: handlers are called concurrently, on the server's threads; Start and the destructor on one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

struct PageRequest {
  // "/api/v1/jobs/lenet"
  std::string path;
  // The query's, decoded.
  std::map<std::string, std::string> parameters;
};

struct Page {
  int code = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  // The body as Gzip makes it, for clients that take it; empty: it is not compressed.
  std::string gzip = "";
};

class PageServer {
 public:
  using Handler = std::function<Page(const PageRequest&)>;

  // Serves each path by the handler of the longest of `pages` that is the path, or ends in '/' and is its beginning.
  // `listen`: "HOST:PORT"; port 0: any free one. INVALID_ARGUMENT: it is no address. UNAVAILABLE: it cannot be listened
  // on.
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(const std::string& listen,
                                                           const std::map<std::string, Handler>& pages);
  // Requests under way are ended.
  ~PageServer();

  // The host of `listen`, and the real port.
  const std::string& address() const { return address_; }

 private:
  struct Context;
  explicit PageServer(std::unique_ptr<Context> context);

  std::unique_ptr<Context> context_;
  std::string address_;
};

}  // namespace samovar
