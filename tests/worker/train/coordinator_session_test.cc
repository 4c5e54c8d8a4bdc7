#include "worker/train/coordinator_session.h"

#include <memory>

#include "common/rpc/dialer.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/train/fake_coordinator.h"

namespace samovar {
namespace {

using Seen = FakeCoordinator::Seen;

v1::JoinRequest Self() {
  v1::JoinRequest self;
  self.set_name("tester");
  return self;
}

v1::WorkerFigures Figures() {
  v1::WorkerFigures figures;
  figures.set_records(77);
  return figures;
}

// Far beyond what a heartbeat takes.
constexpr absl::Duration kSoon = absl::Seconds(60);

TEST_CASE("a lease is held until it is revoked") {
  FakeCoordinator coordinator;
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_FALSE(membership.joined());
  REQUIRE_OK(membership.Join());
  REQUIRE(membership.worker_id() == 1);
  const uint64_t id = coordinator.QueueTraining(5, 8);
  const auto answer = membership.AskForLease();
  REQUIRE_OK(answer);
  REQUIRE(answer->lease != nullptr);
  REQUIRE(answer->lease->lease.lease_id() == id);
  REQUIRE(answer->lease->lease.train().begin() == 5);
  REQUIRE_FALSE(answer->lease->ended.stopped());
  const Seen busy = coordinator.Await([id](const Seen& seen) { return seen.busy_with == std::vector<uint64_t>{id}; });
  CHECK(busy.figures.records() == 77);
  coordinator.Revoke(id);
  REQUIRE(answer->lease->ended.WaitFor(kSoon));
}

TEST_CASE("a revocation that comes before its lease is not forgotten") {
  FakeCoordinator coordinator;
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_OK(membership.Join());
  const uint64_t id = coordinator.QueueTraining(5, 8);
  coordinator.Revoke(id);
  membership.ReportNow();
  const auto answer = membership.AskForLease();
  REQUIRE_OK(answer);
  REQUIRE(answer->lease->ended.stopped());
}

TEST_CASE("without work the answer says when to ask again") {
  FakeCoordinator coordinator;
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_OK(membership.Join());
  const auto answer = membership.AskForLease();
  REQUIRE_OK(answer);
  REQUIRE(answer->lease == nullptr);
  REQUIRE(answer->retry_after == absl::Milliseconds(10));
}

TEST_CASE("a worker that is not known any more loses its lease and its id") {
  FakeCoordinator coordinator;
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_OK(membership.Join());
  coordinator.QueueTraining(5, 8);
  const auto answer = membership.AskForLease();
  REQUIRE_OK(answer);
  coordinator.ForgetWorkers();
  REQUIRE(answer->lease->ended.WaitFor(kSoon));
  REQUIRE_FALSE(membership.joined());
  REQUIRE_OK(membership.Join());
  REQUIRE(membership.worker_id() == 2);
}

TEST_CASE("results reach the coordinator with a heartbeat, or when it is back") {
  FakeCoordinator coordinator;
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_OK(membership.Join());
  v1::TrainResult result;
  result.set_iteration(1);
  membership.outbox().Add(result);
  coordinator.Await([](const Seen& s) { return s.train.count(1) == 1; });
  coordinator.Stop();
  result.set_iteration(2);
  membership.outbox().Add(result);
  membership.ReportNow();
  coordinator.Start();
  coordinator.Await([](const Seen& s) { return s.train.count(2) == 1; });
}

TEST_CASE("results beyond one request arrive in several, when a lease is asked for and when the worker leaves") {
  FakeCoordinator coordinator;
  CoordinatorSession session(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_OK(session.Join());
  constexpr uint64_t kResults = 60;
  const auto add = [&](uint64_t begin) {
    for (uint64_t t = begin; t < begin + kResults; ++t) {
      v1::TrainResult result;
      result.set_iteration(t);
      result.mutable_outputs()->Resize(100'000, 0.5f);
      session.outbox().Add(std::move(result));
    }
  };
  add(0);
  REQUIRE_OK(session.AskForLease());
  // A heartbeat may be on its way with some.
  coordinator.Await([](const Seen& seen) { return seen.train.size() == kResults; });
  add(kResults);
  REQUIRE_OK(session.Leave());
  coordinator.Await([](const Seen& seen) { return seen.train.size() == 2 * kResults; });
}

TEST_CASE("stopping ends the lease that is held and those that follow") {
  FakeCoordinator coordinator;
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_OK(membership.Join());
  coordinator.QueueTraining(0, 1);
  coordinator.QueueTraining(1, 2);
  const auto first = membership.AskForLease();
  REQUIRE_OK(first);
  membership.Stop();
  REQUIRE(first->lease->ended.stopped());
  const auto second = membership.AskForLease();
  REQUIRE_OK(second);
  REQUIRE(second->lease->ended.stopped());
  REQUIRE_OK(membership.Leave());
  REQUIRE(coordinator.seen().leaves == 1);
}

TEST_CASE("a coordinator that is not there is named") {
  CoordinatorSession membership("127.0.0.1:1", Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_STATUS(membership.Join(), absl::StatusCode::kUnavailable, "coordinator 127.0.0.1:1");
  REQUIRE_OK(membership.Leave());
}

TEST_CASE("a coordinator that comes late is joined by the next call") {
  FakeCoordinator coordinator;
  coordinator.Stop();
  CoordinatorSession membership(coordinator.address(), Dialer(RpcOptions()), StorageTable{}, Self(), Figures);
  REQUIRE_STATUS(membership.Join(), absl::StatusCode::kUnavailable, "Connection refused");
  coordinator.Start();
  REQUIRE_OK(membership.Join());
}

}  // namespace
}  // namespace samovar
