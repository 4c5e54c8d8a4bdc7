// CoordinatorService on gRPC: converts calls of servers and workers into calls of a Coordinator. Thread safety: as the
// Coordinator.
#pragma once

#include "common/rpc/bounded_service.h"
#include "samovar/v1/coordinator.grpc.pb.h"
#include "server/coordinator/coordinator.h"

namespace samovar {

class CoordinatorService final : public v1::CoordinatorService::Service {
 public:
  // The coordinator outlives the service.
  explicit CoordinatorService(Coordinator* coordinator) : coordinator_(*coordinator) {}

  grpc::Status RegisterServer(grpc::ServerContext*, const v1::RegisterServerRequest*,
                              v1::RegisterServerResponse*) override;
  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest*, v1::JoinResponse*) override;
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest*, v1::HeartbeatResponse*) override;
  grpc::Status Lease(grpc::ServerContext*, const v1::LeaseRequest*, v1::LeaseResponse*) override;
  grpc::Status GetAssignment(grpc::ServerContext*, const v1::GetAssignmentRequest*,
                             v1::GetAssignmentResponse*) override;
  grpc::Status Leave(grpc::ServerContext*, const v1::LeaveRequest*, v1::LeaveResponse*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

 private:
  Coordinator& coordinator_;
};

}  // namespace samovar
