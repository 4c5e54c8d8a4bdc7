#include "common/home/coordinator_channel.h"

#include <grpcpp/grpcpp.h>

#include "common/rpc/deadlines.h"
#include "common/rpc/listener.h"
#include "common/rpc/status.h"
#include "samovar/v1/status.grpc.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// A coordinator of a name, which its status tells.
class NamedCoordinator : public v1::StatusService::Service {
 public:
  explicit NamedCoordinator(std::string name) : name_(std::move(name)), listener_({.address = "127.0.0.1:0"}) {
    listener_.builder()->RegisterService(this);
    server_ = *listener_.Start();
  }
  const std::string& address() const { return listener_.address(); }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus* status) override {
    status->set_version(name_);
    return grpc::Status::OK;
  }

 private:
  const std::string name_;
  Listener listener_;
  std::unique_ptr<grpc::Server> server_;
};

// The name of the coordinator that answers.
absl::StatusOr<std::string> Ask(CoordinatorChannel* coordinator) {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = coordinator->Get();
  if (!channel.ok()) return channel.status();
  const auto stub = v1::StatusService::NewStub(*channel);
  v1::ClusterStatus status;
  const absl::Status asked = CallOnceConnected(absl::Seconds(10), absl::Seconds(1), [&](grpc::ClientContext* context) {
    return stub->GetStatus(context, v1::GetStatusRequest(), &status);
  });
  coordinator->Note(asked);
  if (!asked.ok()) return asked;
  return status.version();
}

TEST_CASE("a client of a home follows the coordinator to another address") {
  const TempDir dir;
  const ClusterHome home(dir.path(), StorageTable{});
  CoordinatorChannel coordinator(dir.path(), Dialer(RpcOptions()), StorageTable{});
  REQUIRE_STATUS(Ask(&coordinator), absl::StatusCode::kNotFound, "no home");
  auto first = std::make_unique<NamedCoordinator>("first");
  REQUIRE(*home.Claim(0) == 1);
  REQUIRE_OK(home.Announce(1, first->address()));
  CHECK(*Ask(&coordinator) == "first");
  CHECK(coordinator.address() == first->address());
  NamedCoordinator second("second");
  REQUIRE(*home.Claim(0) == 2);
  REQUIRE_OK(home.Announce(2, second.address()));
  // The connection is kept as long as somebody answers.
  CHECK(*Ask(&coordinator) == "first");
  first.reset();
  REQUIRE_STATUS(Ask(&coordinator), absl::StatusCode::kUnavailable, "");
  CHECK(*Ask(&coordinator) == "second");
  CHECK(coordinator.address() == second.address());
}

TEST_CASE("a client of an address stays with it") {
  NamedCoordinator named("named");
  CoordinatorChannel coordinator(named.address(), Dialer(RpcOptions()), StorageTable{});
  const auto channel = *coordinator.Get();
  coordinator.Note(absl::UnavailableError("gone"));
  CHECK(*coordinator.Get() == channel);
  CHECK(*Ask(&coordinator) == "named");
}

}  // namespace
}  // namespace samovar
