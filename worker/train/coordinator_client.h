// CoordinatorClient calls a CoordinatorService. Every call has a deadline; none is repeated here.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/dialer.h"
#include "samovar/v1/coordinator.grpc.pb.h"

namespace samovar {

class CoordinatorClient {
 public:
  // The deadline of calls that carry little; shorter than a lease's term, so that a call that hangs does not cost the
  // leases.
  static constexpr absl::Duration kDeadline = absl::Seconds(3);

  // `address`: "host:port". Does not connect: the first call does.
  CoordinatorClient(const std::string& address, const Dialer& dialer);

  const std::string& address() const { return address_; }

  // Statuses are those of coordinator.proto, and UNAVAILABLE or DEADLINE_EXCEEDED if the coordinator cannot be reached.
  // Messages name the coordinator. Join waits for a coordinator that cannot be reached, up to kDeadline.
  absl::StatusOr<v1::JoinResponse> Join(const v1::JoinRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request);
  absl::StatusOr<v1::GetAssignmentResponse> GetAssignment(const v1::GetAssignmentRequest& request);
  absl::StatusOr<v1::LeaveResponse> Leave(const v1::LeaveRequest& request);

 private:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::CoordinatorService::Stub::*method)(grpc::ClientContext*,
                                                                                     const Request&, Response*),
                                const Request& request, absl::Duration deadline);

  const std::string address_;
  const std::unique_ptr<v1::CoordinatorService::Stub> stub_;
};

}  // namespace samovar
