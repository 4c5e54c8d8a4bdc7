// StatusService on gRPC, for monitors. On each server; the coordinator's knows the whole cluster.
//
// Thread safety: as the Coordinator.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "common/rpc/bounded_service.h"
#include "common/rpc/write_deadlines.h"
#include "samovar/v1/status.grpc.pb.h"
#include "server/coordinator/coordinator.h"

namespace samovar {

class StatusService final : public v1::StatusService::Service {
 public:
  // Those that watch at a time; each holds a thread.
  static constexpr int kMaxWatchers = 64;

  // `status`: of what this server knows, called from any thread. Both outlive the service.
  StatusService(std::function<v1::ClusterStatus()> status, const Stopper* stopper)
      : status_(std::move(status)), stopper_(*stopper) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus*) override;
  grpc::Status WatchStatus(grpc::ServerContext*, const v1::WatchStatusRequest*,
                           grpc::ServerWriter<v1::ClusterStatus>*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

  // As status(), but one that is younger than a quarter of a second is taken again: watchers share it.
  v1::ClusterStatus Recent() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::function<v1::ClusterStatus()> status_;
  const Stopper& stopper_;
  WriteDeadlines deadlines_;
  std::atomic<int> watchers_{0};
  absl::Mutex mu_;
  v1::ClusterStatus recent_ ABSL_GUARDED_BY(mu_);
  absl::Time recent_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace samovar
