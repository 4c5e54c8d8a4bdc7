// Coordinator knows the cluster's members and its jobs, and answers their calls. Jobs run one after the other, in the order of
// their submission; a thread of its own takes each through its life (job_runner.h), another gives up the silent.
//
// Thread safety: public methods may be called from any thread; none but Watch blocks.
// Lock order: mu_, then a Job's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/stopper.h"
#include "samovar/v1/coordinator.pb.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/status.pb.h"
#include "server/coordinator/job.h"
#include "server/coordinator/membership.h"

namespace samovar {

class Coordinator {
 public:
  struct Options {
    // The epoch is kept in `state_dir`/coordinator.
    std::string state_dir;
    // How long a job waits for a server that it needs before it fails.
    absl::Duration server_patience = absl::Minutes(10);
  };
  // Ended jobs that are remembered; older ones are forgotten.
  static constexpr size_t kMaxEndedJobs = 64;
  static constexpr size_t kMaxQueuedJobs = 256;

  static absl::StatusOr<std::unique_ptr<Coordinator>> Create(const Options& options);
  // As Stop().
  ~Coordinator();

  uint64_t epoch() const { return epoch_; }
  // How the coordinator is reached, for the status: known only when its port is.
  void SetAddress(const std::string& address);

  // --- for servers and workers; the statuses are coordinator.proto's ---
  absl::StatusOr<v1::RegisterServerResponse> RegisterServer(const v1::RegisterServerRequest& request);
  v1::JoinResponse Join(const v1::JoinRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request);
  absl::StatusOr<v1::GetAssignmentResponse> GetAssignment(const v1::GetAssignmentRequest& request);
  void Leave(const v1::LeaveRequest& request);

  // --- for users; the statuses are job.proto's ---
  absl::StatusOr<std::string> Submit(v1::JobSpec spec);
  absl::StatusOr<v1::JobStatus> Get(const std::string& job_id) const;
  // In the order of their submission.
  std::vector<v1::JobStatus> List() const;
  absl::Status Cancel(const std::string& job_id, const std::string& reason);
  // Calls `send` with the job's status at once, at each change but not more often than `interval`, and after its end. Blocks
  // until then, until `send` returns false or `cancelled` true, or until the coordinator stops (UNAVAILABLE).
  absl::Status Watch(const std::string& job_id, absl::Duration interval, absl::FunctionRef<bool(const v1::JobStatus&)> send,
                     absl::FunctionRef<bool()> cancelled) const;
  v1::ClusterStatus Status() const;

  // Ends running jobs as CANCELLED, wakes watchers and joins the threads. Idempotent.
  void Stop();

 private:
  Coordinator(const Options& options, uint64_t epoch);

  void RunJobs();
  void GiveUpSilent();
  // The first job that has not ended, if any.
  std::shared_ptr<Job> CurrentLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<Job> FindLocked(const std::string& job_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::shared_ptr<Job>> Find(const std::string& job_id) const;
  // Takes a worker's report and renews its leases. NOT_FOUND: the worker is not known.
  absl::Status HearLocked(uint64_t worker, const v1::WorkerReport& report, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetOldJobsLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::JobStatus StatusOfLocked(const Job& job, absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_;
  const uint64_t epoch_;
  const absl::Time started_;
  Stopper stopper_;

  mutable absl::Mutex mu_;
  std::string address_ ABSL_GUARDED_BY(mu_);
  Membership members_ ABSL_GUARDED_BY(mu_);
  // In the order of submission; ended ones stay until they are forgotten.
  std::deque<std::shared_ptr<Job>> jobs_ ABSL_GUARDED_BY(mu_);
  uint64_t submissions_ ABSL_GUARDED_BY(mu_) = 0;

  std::thread runner_;
  std::thread expirer_;
};

}  // namespace samovar
