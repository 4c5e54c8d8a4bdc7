// CoordinatorClient calls a CoordinatorService. Every call has a deadline; none is repeated here.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/home/coordinator_channel.h"
#include "common/rpc/dialer.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/coordinator.grpc.pb.h"

namespace samovar {

class CoordinatorClient {
 public:
  // The deadline of calls that carry little; shorter than a lease's term, so that a call that hangs does not cost the
  // leases.
  static constexpr absl::Duration kDeadline = absl::Seconds(3);

  // `coordinator`: "host:port", or a cluster's home. Does not connect: the first call does.
  CoordinatorClient(const std::string& coordinator, const Dialer& dialer, const StorageTable& storage)
      : coordinator_(coordinator, dialer, storage) {}

  // As CoordinatorChannel::address.
  std::string address() const { return coordinator_.address(); }

  // Statuses are those of coordinator.proto, and UNAVAILABLE or DEADLINE_EXCEEDED if the coordinator cannot be reached.
  // Messages name the coordinator. Join waits for a coordinator that cannot be reached, up to kDeadline. Of a cluster
  // with a home, each call after one that found nobody asks the home first where the coordinator is: errors as
  // CoordinatorChannel::Get's.
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
  // The error with the coordinator's name, after a call that has ended so.
  absl::Status Explain(const absl::Status& status);

  CoordinatorChannel coordinator_;
};

}  // namespace samovar
