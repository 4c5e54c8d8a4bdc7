#include "common/rpc/dialer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/listener.h"
#include "common/rpc/status.h"
#include "samovar/v1/job.grpc.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

class Jobs final : public v1::JobService::Service {
 public:
  grpc::Status Get(grpc::ServerContext*, const v1::GetJobStatusRequest* request, v1::JobStatus* response) override {
    response->set_job_id(request->job_id());
    return grpc::Status::OK;
  }
};

std::unique_ptr<grpc::Server> Serve(Jobs* jobs, std::string* address) {
  Listener listener({.address = *address});
  listener.builder()->RegisterService(jobs);
  auto server = listener.Start();
  REQUIRE_OK(server);
  *address = listener.address();
  return *std::move(server);
}

absl::Status Get(v1::JobService::Stub* stub, bool wait_for_ready) {
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(60));
  context.set_wait_for_ready(wait_for_ready);
  v1::JobStatus response;
  return FromGrpcStatus(stub->Get(&context, v1::GetJobStatusRequest(), &response));
}

// A peer that accepts one connection of HTTP/2, and is silent ever after, as one whose host has lost its power.
class SilentPeer {
 public:
  SilentPeer() : listening_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(listening_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
    REQUIRE(listen(listening_, 1) == 0);
    socklen_t length = sizeof(at);
    REQUIRE(getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &length) == 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(at.sin_port));
    thread_ = std::thread([this] { Accept(); });
  }
  ~SilentPeer() {
    thread_.join();
    close(accepted_);
    close(listening_);
  }
  const std::string& address() const { return address_; }

 private:
  void Accept() {
    accepted_ = accept(listening_, nullptr, nullptr);
    // An empty SETTINGS frame, which ends the handshake.
    const char settings[9] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    if (send(accepted_, settings, sizeof(settings), MSG_NOSIGNAL) != sizeof(settings)) return;
    // Reads nothing more than what is on its way, so that the other end is not held up by it.
    char ignored[1 << 14];
    while (recv(accepted_, ignored, sizeof(ignored), 0) > 0) {
    }
  }

  const int listening_;
  int accepted_ = -1;
  std::string address_;
  std::thread thread_;
};

TEST_CASE("a peer that answers no more is given up after the keepalive that the options say") {
  const SilentPeer peer;
  RpcOptions options;
  options.keepalive = absl::Milliseconds(50);
  options.keepalive_timeout = absl::Milliseconds(50);
  const auto stub = v1::JobService::NewStub(Dialer(options).Dial(peer.address()));
  // With the usual keepalive the call would end after 20 s.
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(15));
  v1::JobStatus response;
  REQUIRE_STATUS(FromGrpcStatus(stub->Get(&context, v1::GetJobStatusRequest(), &response)),
                 absl::StatusCode::kUnavailable, "");
}

TEST_CASE("a channel finds a server that was started again on its port") {
  Jobs jobs;
  std::string address = "127.0.0.1:0";
  std::unique_ptr<grpc::Server> server = Serve(&jobs, &address);
  const auto stub = v1::JobService::NewStub(Dialer(RpcOptions()).Dial(address));
  REQUIRE_OK(Get(stub.get(), /*wait_for_ready=*/false));
  server->Shutdown(DeadlineIn(absl::ZeroDuration()));
  server.reset();
  REQUIRE_STATUS(Get(stub.get(), /*wait_for_ready=*/false), absl::StatusCode::kUnavailable, "");
  server = Serve(&jobs, &address);
  REQUIRE_OK(Get(stub.get(), /*wait_for_ready=*/true));
}

TEST_CASE("two dialled channels to a server have a connection each") {
  class Peers final : public v1::JobService::Service {
   public:
    grpc::Status Get(grpc::ServerContext* context, const v1::GetJobStatusRequest*, v1::JobStatus* response) override {
      response->set_job_id(context->peer());
      return grpc::Status::OK;
    }
  } peers;
  Listener listener({.address = "127.0.0.1:0"});
  listener.builder()->RegisterService(&peers);
  auto server = listener.Start();
  REQUIRE_OK(server);
  const Dialer dialer{RpcOptions()};
  const auto ask = [](v1::JobService::Stub* stub) {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(60));
    v1::JobStatus response;
    REQUIRE_OK(FromGrpcStatus(stub->Get(&context, v1::GetJobStatusRequest(), &response)));
    return response.job_id();
  };
  const auto one = v1::JobService::NewStub(dialer.Dial(listener.address()));
  const auto two = v1::JobService::NewStub(dialer.Dial(listener.address()));
  const std::string first = ask(one.get());
  CHECK(ask(one.get()) == first);
  CHECK(ask(two.get()) != first);
}

TEST_CASE("a listener shares its port with no other, and the error names the address") {
  Jobs jobs;
  std::string address = "127.0.0.1:0";
  const std::unique_ptr<grpc::Server> server = Serve(&jobs, &address);
  CHECK(address != "127.0.0.1:0");
  Listener second({.address = address});
  second.builder()->RegisterService(&jobs);
  REQUIRE_STATUS(second.Start(), absl::StatusCode::kUnavailable, absl::StrCat("cannot listen on ", address));
}

}  // namespace
}  // namespace samovar
