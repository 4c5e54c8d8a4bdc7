// JobService on gRPC: converts users' calls into calls of a Coordinator. Thread safety: as the Coordinator.
#pragma once

#include <atomic>

#include "absl/functional/function_ref.h"
#include "common/rpc/bounded_service.h"
#include "common/rpc/write_deadlines.h"
#include "samovar/v1/job.grpc.pb.h"
#include "server/coordinator/coordinator.h"

namespace samovar {

class JobService final : public v1::JobService::Service {
 public:
  // Each watcher holds a thread; one more is refused with RESOURCE_EXHAUSTED.
  static constexpr int kMaxWatchers = 64;

  // The coordinator outlives the service.
  explicit JobService(Coordinator* coordinator) : coordinator_(*coordinator) {}

  grpc::Status Submit(grpc::ServerContext*, const v1::SubmitRequest*, v1::SubmitResponse*) override;
  grpc::Status Get(grpc::ServerContext*, const v1::GetJobStatusRequest*, v1::JobStatus*) override;
  grpc::Status List(grpc::ServerContext*, const v1::ListJobsRequest*, v1::ListJobsResponse*) override;
  grpc::Status Cancel(grpc::ServerContext*, const v1::CancelRequest*, v1::CancelResponse*) override;
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest*, v1::ForgetResponse*) override;
  grpc::Status Watch(grpc::ServerContext*, const v1::WatchRequest*, grpc::ServerWriter<v1::JobStatus>*) override;
  grpc::Status GetSpec(grpc::ServerContext*, const v1::GetSpecRequest*, v1::JobSpec*) override;
  grpc::Status Logs(grpc::ServerContext*, const v1::LogsRequest*, grpc::ServerWriter<v1::JobEvent>*) override;
  grpc::Status Snapshot(grpc::ServerContext*, const v1::SnapshotRequest*, v1::SnapshotResponse*) override;
  grpc::Status AcknowledgeSnapshots(grpc::ServerContext*, const v1::AcknowledgeSnapshotsRequest*,
                                    v1::AcknowledgeSnapshotsResponse*) override;

  // Serves its calls there.
  void AddTo(BoundedService* calls);

 private:
  // Runs a call that blocks while it has something to send, unless too many do.
  grpc::Status AsWatcher(absl::FunctionRef<absl::Status()> call);

  Coordinator& coordinator_;
  // A count only; orders nothing.
  std::atomic<int> watchers_{0};
  // A watcher that does not read makes room for others.
  WriteDeadlines deadlines_;
};

}  // namespace samovar
