// A web server for tests, on loopback: answers each request as the test's function says, also with half an answer.
//
// Thread safety: the function is called from several threads, one call at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace samovar {

class HttpServer {
 public:
  struct Request {
    std::string method;
    // The path and the query, as sent.
    std::string target;
    // Names in lower case.
    std::map<std::string, std::string> headers;
    std::string body;
  };
  struct Response {
    int status = 200;
    // "Name: value" each; Content-Length is added.
    std::vector<std::string> headers = {};
    std::string body = "";
    // The connection is closed after so many bytes of the body.
    size_t sent_bytes = std::string::npos;
  };

  explicit HttpServer(std::function<Response(const Request&)> answer);
  // Closes the connections.
  ~HttpServer();

  // "http://127.0.0.1:45123"
  std::string url() const;
  std::vector<Request> requests() const;

 private:
  void Accept();
  void Serve(int fd);

  const std::function<Response(const Request&)> answer_;
  int listening_ = -1;
  int port_ = 0;
  mutable absl::Mutex mu_;
  std::vector<Request> requests_ ABSL_GUARDED_BY(mu_);
  std::vector<int> open_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  std::thread acceptor_;
};

}  // namespace samovar
