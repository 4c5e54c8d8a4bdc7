// StatusService on gRPC, for monitors. Thread safety: as the Coordinator.
#pragma once

#include "common/rpc/bounded_service.h"
#include "samovar/v1/status.grpc.pb.h"
#include "server/coordinator/coordinator.h"

namespace samovar {

class StatusService final : public v1::StatusService::Service {
 public:
  // The coordinator outlives the service.
  explicit StatusService(const Coordinator* coordinator) : coordinator_(*coordinator) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

 private:
  const Coordinator& coordinator_;
};

}  // namespace samovar
