// StatusService on gRPC, for monitors. Thread safety: as the Coordinator.
#pragma once

#include <atomic>

#include "common/rpc/bounded_service.h"
#include "common/rpc/write_deadlines.h"
#include "samovar/v1/status.grpc.pb.h"
#include "server/coordinator/coordinator.h"

namespace samovar {

class StatusService final : public v1::StatusService::Service {
 public:
  // Curves that are sent at the same time: each is in memory, and holds a thread. One more is refused with
  // RESOURCE_EXHAUSTED.
  static constexpr int kMaxHistories = 8;

  // The coordinator outlives the service.
  explicit StatusService(const Coordinator* coordinator) : coordinator_(*coordinator) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus*) override;

  grpc::Status GetHistory(grpc::ServerContext*, const v1::GetHistoryRequest*,
                          grpc::ServerWriter<v1::HistoryBlock>*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

 private:
  const Coordinator& coordinator_;
  // A count only; orders nothing.
  std::atomic<int> histories_{0};
  // A reader that does not read makes room for others.
  WriteDeadlines deadlines_;
};

}  // namespace samovar
