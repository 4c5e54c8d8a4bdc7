// A coordinator for tests: gives out the leases that the test has queued, and remembers what it was told.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/listener.h"
#include "samovar/v1/coordinator.grpc.pb.h"
#include "tests/support/catch.h"

namespace samovar {

class FakeCoordinator final : public v1::CoordinatorService::Service {
 public:
  static constexpr uint64_t kEpoch = 3;

  FakeCoordinator() { Start(); }
  ~FakeCoordinator() override { Stop(); }

  void Start() {
    Listener listener({.address = absl::StrCat("127.0.0.1:", port_)});
    listener.builder()->RegisterService(this);
    auto started = listener.Start();
    REQUIRE(started.ok());
    server_ = *std::move(started);
    port_ = listener.port();
  }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(absl::ToChronoTime(absl::Now()));
    server_.reset();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // The answer of GetAssignment; NOT_FOUND before.
  void SetAssignment(const v1::JobSpec& spec, const std::vector<std::string>& servers, uint32_t chunk_elements,
                     uint64_t opening = 0) {
    absl::MutexLock lock(&mu_);
    assignment_.emplace();
    *assignment_->mutable_spec() = spec;
    assignment_->set_epoch(kEpoch);
    assignment_->set_opening(opening);
    assignment_->set_chunk_elements(chunk_elements);
    assignment_->mutable_servers()->Add(servers.begin(), servers.end());
  }
  uint64_t QueueTraining(uint64_t begin, uint64_t end) {
    v1::WorkLease lease;
    lease.mutable_train()->set_begin(begin);
    lease.mutable_train()->set_end(end);
    return Queue(lease);
  }
  // Of a job whose iterations come in parts.
  uint64_t QueueParts(uint64_t begin, uint64_t end, const std::vector<uint32_t>& parts) {
    v1::WorkLease lease;
    lease.mutable_train()->set_begin(begin);
    lease.mutable_train()->set_end(end);
    lease.mutable_parts()->Add(parts.begin(), parts.end());
    return Queue(lease);
  }
  uint64_t QueueTest(uint64_t frozen_iteration, uint64_t begin, uint64_t end) {
    v1::WorkLease lease;
    lease.mutable_test()->set_frozen_iteration(frozen_iteration);
    lease.mutable_test()->set_begin(begin);
    lease.mutable_test()->set_end(end);
    return Queue(lease);
  }
  // With the next heartbeat.
  void Revoke(uint64_t lease_id) {
    absl::MutexLock lock(&mu_);
    revoked_.push_back(lease_id);
  }
  // The next lease is given, but its answer does not arrive. A worker that leaves gives it back.
  void LoseNextLease() {
    absl::MutexLock lock(&mu_);
    lose_next_ = true;
  }
  void ForgetWorkers() {
    absl::MutexLock lock(&mu_);
    workers_.clear();
  }

  struct Seen {
    int joins = 0;
    int leaves = 0;
    int lease_calls = 0;
    int assignment_calls = 0;
    // The lease that the worker was busy with, by its last heartbeat.
    std::vector<uint64_t> busy_with;
    // Of itself, by the same.
    v1::WorkerFigures figures;
    std::vector<uint64_t> leased;
    std::map<uint64_t, v1::TrainResult> train;
    // By iteration and part.
    std::map<std::pair<uint64_t, uint32_t>, v1::TrainResult> parts;
    std::vector<v1::TestResult> tests;
    std::vector<v1::WorkFailure> failures;
  };
  // Waits until what was seen satisfies the predicate; returns it.
  Seen Await(const std::function<bool(const Seen&)>& predicate) {
    absl::MutexLock lock(&mu_);
    const auto satisfied = [&] { return predicate(seen_); };
    REQUIRE(mu_.AwaitWithTimeout(absl::Condition(&satisfied), absl::Seconds(60)));
    return seen_;
  }
  Seen seen() {
    return Await([](const Seen&) { return true; });
  }

  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest*, v1::JoinResponse* response) override {
    absl::MutexLock lock(&mu_);
    workers_.insert(++seen_.joins);
    response->set_worker_id(static_cast<uint64_t>(seen_.joins));
    response->set_epoch(kEpoch);
    response->set_heartbeat_ms(20);
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    absl::MutexLock lock(&mu_);
    if (!Hear(request->worker_id(), request->report())) return Unknown();
    seen_.figures = request->figures();
    seen_.busy_with.assign(request->leases().begin(), request->leases().end());
    response->mutable_revoked_leases()->Add(revoked_.begin(), revoked_.end());
    revoked_.clear();
    return grpc::Status::OK;
  }
  grpc::Status Lease(grpc::ServerContext*, const v1::LeaseRequest* request, v1::LeaseResponse* response) override {
    absl::MutexLock lock(&mu_);
    if (!Hear(request->worker_id(), request->report())) return Unknown();
    ++seen_.lease_calls;
    if (lose_next_ && !leases_.empty()) {
      lose_next_ = false;
      lost_.push_back(leases_.front());
      leases_.pop_front();
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "lost");
    }
    if (leases_.empty()) {
      response->set_retry_after_ms(10);
    } else {
      *response->mutable_lease() = leases_.front();
      seen_.leased.push_back(leases_.front().lease_id());
      leases_.pop_front();
    }
    return grpc::Status::OK;
  }
  grpc::Status GetAssignment(grpc::ServerContext*, const v1::GetAssignmentRequest* request,
                             v1::GetAssignmentResponse* response) override {
    absl::MutexLock lock(&mu_);
    ++seen_.assignment_calls;
    if (!assignment_.has_value() || assignment_->spec().job_id() != request->job_id()) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such job");
    }
    *response = *assignment_;
    return grpc::Status::OK;
  }
  grpc::Status Leave(grpc::ServerContext*, const v1::LeaveRequest* request, v1::LeaveResponse*) override {
    absl::MutexLock lock(&mu_);
    Hear(request->worker_id(), request->report());
    ++seen_.leaves;
    leases_.insert(leases_.begin(), lost_.begin(), lost_.end());
    lost_.clear();
    return grpc::Status::OK;
  }

 private:
  static grpc::Status Unknown() { return grpc::Status(grpc::StatusCode::NOT_FOUND, "join again"); }

  uint64_t Queue(v1::WorkLease lease) {
    absl::MutexLock lock(&mu_);
    lease.set_lease_id(next_lease_++);
    lease.set_job_id("small");
    lease.set_epoch(kEpoch);
    leases_.push_back(lease);
    return lease.lease_id();
  }
  bool Hear(uint64_t worker, const v1::WorkerReport& report) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (workers_.count(worker) == 0) return false;
    for (const v1::TrainResult& result : report.train()) {
      seen_.train[result.iteration()] = result;
      seen_.parts[{result.iteration(), result.part()}] = result;
    }
    seen_.tests.insert(seen_.tests.end(), report.test().begin(), report.test().end());
    seen_.failures.insert(seen_.failures.end(), report.failures().begin(), report.failures().end());
    return true;
  }

  absl::Mutex mu_;
  Seen seen_ ABSL_GUARDED_BY(mu_);
  std::set<uint64_t> workers_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::WorkLease> leases_ ABSL_GUARDED_BY(mu_);
  bool lose_next_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<v1::WorkLease> lost_ ABSL_GUARDED_BY(mu_);
  std::vector<uint64_t> revoked_ ABSL_GUARDED_BY(mu_);
  uint64_t next_lease_ ABSL_GUARDED_BY(mu_) = 1;
  std::optional<v1::GetAssignmentResponse> assignment_ ABSL_GUARDED_BY(mu_);
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace samovar
