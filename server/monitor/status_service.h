// StatusService on gRPC, for monitors. On each server; the coordinator's knows the whole cluster.
//
// Thread safety: as the Coordinator.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
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

  // Curves that are sent at a time; each is in memory, and holds a thread. One more is refused with RESOURCE_EXHAUSTED.
  static constexpr int kMaxHistories = 8;

  // Sends the blocks of a job's curve, until `send` returns false. Statuses are status.proto's.
  using History = std::function<absl::Status(const v1::GetHistoryRequest& request,
                                             absl::FunctionRef<bool(const v1::HistoryBlock&)> send)>;

  // `status`: of what this server knows, called from any thread. `history`: null on a server that is no
  // coordinator. All outlive the service.
  StatusService(std::function<v1::ClusterStatus()> status, History history, const Stopper* stopper)
      : status_(std::move(status)), history_(std::move(history)), stopper_(*stopper) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::ClusterStatus*) override;
  grpc::Status WatchStatus(grpc::ServerContext*, const v1::WatchStatusRequest*,
                           grpc::ServerWriter<v1::ClusterStatus>*) override;

  grpc::Status GetHistory(grpc::ServerContext*, const v1::GetHistoryRequest*,
                          grpc::ServerWriter<v1::HistoryBlock>*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

  // As GetHistory, within its bound.
  absl::Status SendHistory(const v1::GetHistoryRequest& request, absl::FunctionRef<bool(const v1::HistoryBlock&)> send);

  // As status(), but one that is younger than a quarter of a second is taken again: watchers share it.
  v1::ClusterStatus Recent() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::function<v1::ClusterStatus()> status_;
  const History history_;
  const Stopper& stopper_;
  WriteDeadlines deadlines_;
  std::atomic<int> watchers_{0};
  std::atomic<int> histories_{0};
  absl::Mutex mu_;
  v1::ClusterStatus recent_ ABSL_GUARDED_BY(mu_);
  absl::Time recent_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace samovar
