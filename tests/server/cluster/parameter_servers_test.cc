#include "server/cluster/parameter_servers.h"

#include <memory>
#include <set>
#include <string>

#include "absl/synchronization/mutex.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/listener.h"
#include "samovar/v1/parameter.grpc.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// A parameter server that counts what it is asked, and from which connections.
class CountingServer final : public v1::ParameterService::Service {
 public:
  CountingServer() { Start(); }
  ~CountingServer() override { Stop(); }

  void Start() {
    Listener listener({.address = address_});
    listener.builder()->RegisterService(this);
    auto server = listener.Start();
    REQUIRE_OK(server);
    server_ = *std::move(server);
    address_ = listener.address();
  }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(DeadlineIn(absl::ZeroDuration()));
    server_.reset();
  }

  const std::string& address() const { return address_; }
  // The answer to calls from now on.
  void SetStatus(const grpc::Status& status) {
    absl::MutexLock lock(&mu_);
    status_ = status;
  }
  // Calls over the connections that there have been fail from now on, as if each had just been lost.
  void LoseConnections() {
    absl::MutexLock lock(&mu_);
    lost_ = peers_;
  }
  int calls() const {
    absl::MutexLock lock(&mu_);
    return calls_;
  }
  size_t connections() const {
    absl::MutexLock lock(&mu_);
    return peers_.size();
  }

  grpc::Status ListSnapshots(grpc::ServerContext* context, const v1::ListSnapshotsRequest*,
                             v1::ListSnapshotsResponse*) override {
    absl::MutexLock lock(&mu_);
    ++calls_;
    peers_.insert(context->peer());
    if (lost_.contains(context->peer())) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the connection is lost");
    return status_;
  }

 private:
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<grpc::Server> server_;
  mutable absl::Mutex mu_;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
  int calls_ ABSL_GUARDED_BY(mu_) = 0;
  std::set<std::string> peers_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> lost_ ABSL_GUARDED_BY(mu_);
};

struct Fixture {
  absl::Status List(std::vector<std::string> addresses) {
    return ParameterServers(std::move(addresses), &channels, &stopper).ListSnapshots("job").status();
  }
  ServerChannels channels{Dialer(RpcOptions())};
  Stopper stopper;
};

TEST_CASE_METHOD(Fixture, "calls of many handles go over one connection to each server") {
  CountingServer one;
  CountingServer two;
  for (int i = 0; i < 5; ++i) REQUIRE_OK(List({one.address(), two.address()}));
  CHECK(one.calls() == 5);
  CHECK(one.connections() == 1);
  CHECK(two.connections() == 1);
  CHECK(channels.size() == 2);
}

TEST_CASE_METHOD(Fixture, "the first call at a server that was started again reaches it") {
  CountingServer server;
  CountingServer other;
  REQUIRE_OK(List({server.address(), other.address()}));
  server.Stop();
  server.Start();
  REQUIRE_OK(List({server.address(), other.address()}));
  CHECK(server.calls() == 2);
  CHECK(server.connections() == 2);
  // It was there all the time, and is asked once for each call.
  CHECK(other.calls() == 2);
}

TEST_CASE_METHOD(Fixture, "a call that is lost with a connection from before is made once more on a new one") {
  CountingServer server;
  CountingServer other;
  REQUIRE_OK(List({server.address(), other.address()}));
  server.LoseConnections();
  REQUIRE_OK(List({server.address(), other.address()}));
  CHECK(server.calls() == 3);
  CHECK(server.connections() == 2);
  // It has answered, and is not asked again.
  CHECK(other.calls() == 2);
}

TEST_CASE_METHOD(Fixture, "a call that is lost with a new connection is not made again") {
  CountingServer server;
  server.SetStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "it is ending"));
  REQUIRE_STATUS(List({server.address()}), absl::StatusCode::kUnavailable, "it is ending");
  CHECK(server.calls() == 1);
}

TEST_CASE_METHOD(Fixture, "a server that is not there is told, and its channel is not kept") {
  CountingServer server;
  CountingServer gone;
  REQUIRE_OK(List({server.address(), gone.address()}));
  gone.Stop();
  REQUIRE_STATUS(List({server.address(), gone.address()}), absl::StatusCode::kUnavailable, gone.address());
  CHECK(channels.size() == 1);
  CHECK(channels.To(server.address()).kept);
}

TEST_CASE_METHOD(Fixture, "an error that a server answers is not asked for twice") {
  CountingServer server;
  REQUIRE_OK(List({server.address()}));
  server.SetStatus(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "an older epoch"));
  REQUIRE_STATUS(List({server.address()}), absl::StatusCode::kFailedPrecondition, "an older epoch");
  CHECK(server.calls() == 2);
}

}  // namespace
}  // namespace samovar
