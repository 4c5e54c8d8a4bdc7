// Coordinator knows the cluster's members and its jobs, and answers their calls. Workers are shared by the jobs that
// run (fair_shares.h); a thread gives up the silent.
//
// Thread safety: public methods may be called from any thread. Watch and Logs block, and Submit, Cancel, Forget and
// History wait for the disk; no other does. Lock order: mu_, then the queue's, then a Job's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/stopper.h"
#include "common/home/cluster_home.h"
#include "common/rpc/rpc_options.h"
#include "common/storage/storage_table.h"
#include "common/telemetry/deferred_log.h"
#include "samovar/v1/coordinator.pb.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/process_log.pb.h"
#include "samovar/v1/status.pb.h"
#include "server/cluster/cluster_view.h"
#include "server/coordinator/member_logs.h"
#include "server/cluster/membership.h"
#include "server/jobs/job.h"
#include "server/jobs/job_queue.h"
#include "server/leases/fair_shares.h"

namespace samovar {

class Coordinator : private ClusterView {
 public:
  struct Options {
    // The epoch is kept in `state_dir`/coordinator, the job table in `state_dir`/coordinator/jobs.
    std::string state_dir;
    // The cluster's home, where epoch, address and jobs are kept then. Empty: it has none.
    std::string home = "";
    // Called once, on a thread of the coordinator's, when another coordinator has claimed the home. May be null.
    std::function<void()> on_replaced = nullptr;
    // How long a job waits for a server that it needs before it fails.
    absl::Duration server_patience = absl::Minutes(10);
    // As JobQueue::Options.
    int max_running = 4;
    int max_ended = JobQueue::kMaxEndedJobs;
    // The coordinator begins without the jobs of an earlier one.
    bool forget_jobs = false;
    // How the coordinator talks to the servers.
    RpcOptions rpc = {};
    // Where snapshots are exported to.
    StorageTable storage = {};
    // As JobQueue::Options.
    std::string snapshots = "";
  };

  static absl::StatusOr<std::unique_ptr<Coordinator>> Create(const Options& options);
  // As Stop().
  ~Coordinator() override;

  uint64_t epoch() const { return epoch_; }
  // How the coordinator is reached, for the status and the home: known only when its port is. Call once. Errors of the
  // home.
  absl::Status SetAddress(const std::string& address);

  // --- for servers and workers; the statuses are coordinator.proto's ---
  absl::StatusOr<v1::RegisterServerResponse> RegisterServer(const v1::RegisterServerRequest& request);
  v1::JoinResponse Join(const v1::JoinRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request);
  absl::StatusOr<v1::GetAssignmentResponse> GetAssignment(const v1::GetAssignmentRequest& request);
  void Leave(const v1::LeaveRequest& request);
  // A server or worker was refused as a member, for the status.
  void NoteRefused(const std::string& name, const std::string& host, const absl::Status& refusal);

  // --- for users; the statuses are job.proto's ---
  absl::StatusOr<std::string> Submit(v1::JobSpec spec);
  absl::StatusOr<v1::JobStatus> Get(const std::string& job_id) const;
  // In the order of their submission.
  std::vector<v1::JobStatus> List() const;
  absl::Status Cancel(const std::string& job_id, const std::string& reason);
  absl::Status Forget(const std::string& job_id);
  absl::StatusOr<v1::JobSpec> GetSpec(const std::string& job_id) const;
  // The iteration of the snapshot that is to come.
  // As Job::RequestSnapshot. INVALID_ARGUMENT: `export_to` is neither empty nor an absolute path.
  absl::StatusOr<uint64_t> Snapshot(const std::string& job_id, const std::string& export_to = "", bool last = false);
  // As Job::Acknowledge.
  absl::Status AcknowledgeSnapshots(const std::string& job_id, const std::set<uint64_t>& snapshots);
  // Calls `send` with the job's status at once, at each change but not more often than `interval`, once a second if
  // there is none, and after its end. Blocks until then, until `send` returns false or `cancelled` true, or until the
  // coordinator stops (UNAVAILABLE). With `first_display`, each line of the solver's display from that iteration on is
  // in one of the statuses.
  absl::Status Watch(const std::string& job_id, absl::Duration interval, std::optional<uint64_t> first_display,
                     absl::FunctionRef<bool(const v1::JobStatus&)> send, absl::FunctionRef<bool()> cancelled) const;
  // Calls `send` with each of the job's events after number `after`; if `follow`, also with those to come, until it has
  // ended. Blocks as Watch does.
  absl::Status Logs(const std::string& job_id, uint64_t after, bool follow,
                    absl::FunctionRef<bool(const v1::JobEvent&)> send, absl::FunctionRef<bool()> cancelled) const;
  v1::ClusterStatus Status() const;
  // As MemberLogs::Read.
  absl::StatusOr<v1::ProcessLogPart> ProcessLog(const v1::GetProcessLogRequest& request,
                                                MemberLogs::Cursor* cursor) const;
  // Calls `send` with the blocks of the job's curve, as status.proto's GetHistory has them, until it returns false.
  // Does I/O.
  absl::Status History(const v1::GetHistoryRequest& request,
                       absl::FunctionRef<bool(const v1::HistoryBlock&)> send) const;

  // Wakes watchers and joins the threads. Jobs are left as they are. Idempotent.
  void Stop();

 private:
  Coordinator(const Options& options, uint64_t epoch);

  // --- for the jobs ---
  std::vector<Membership::Server> Servers() const override ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t Workers() const override ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t NextOpening() override;
  absl::Duration Patience() const override { return options_.server_patience; }
  ServerChannels& Channels() override { return channels_; }

  void GiveUpSilent();
  // Until another coordinator has claimed the home.
  void WatchHome();
  void GiveUpSilentLocked(absl::Time now, DeferredLog* log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The worker's name; its number if it has gone.
  std::string NameOfLocked(uint64_t worker) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes a worker's report and renews its leases. NOT_FOUND: the worker is not known.
  absl::Status HearLocked(uint64_t worker, const v1::WorkerReport& report, absl::Time now, DeferredLog* log)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Work from the job whose turn it is.
  std::optional<v1::WorkLease> LeaseLocked(const Membership::Worker& worker, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Without the place among those that wait.
  v1::JobStatus StatusOfLocked(const Job& job, absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Those of all jobs, in the order of their submission.
  std::vector<v1::JobStatus> StatusesLocked(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // As JobStatus.queue_position.
  uint32_t PositionOf(const Job& job) const;
  // Why a worker has nothing to do, where these jobs run.
  std::string IdleReasonLocked(const std::vector<v1::JobStatus>& running) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  const uint64_t epoch_;
  const absl::Time started_;
  // A count only: orders nothing.
  std::atomic<uint64_t> openings_{0};
  ServerChannels channels_;
  MemberLogs logs_;
  Stopper stopper_;

  mutable absl::Mutex mu_;
  std::string address_ ABSL_GUARDED_BY(mu_);
  Membership members_ ABSL_GUARDED_BY(mu_);
  FairShares shares_ ABSL_GUARDED_BY(mu_);

  // Set by Create.
  std::optional<ClusterHome> home_;
  std::unique_ptr<JobQueue> queue_;
  std::thread expirer_;
  std::thread home_watch_;
};

}  // namespace samovar
