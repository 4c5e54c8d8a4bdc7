// Worker is one samovar-worker: asks its coordinator for work and does it, until it is stopped. It holds nothing that
// matters: another worker computes the iterations that it has not reported.
//
// Thread safety: Run on one thread, once; Stop from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/backoff.h"
#include "common/base/steady_condition.h"
#include "common/base/stopper.h"
#include "common/base/thread_pool.h"
#include "common/rpc/rpc_options.h"
#include "common/storage/storage_table.h"
#include "common/telemetry/metrics.h"
#include "worker/train/activity_clock.h"
#include "worker/train/assignment_cache.h"
#include "worker/train/coordinator_session.h"
#include "worker/train/sent_spans.h"

namespace samovar {

class Worker {
 public:
  struct Options {
    // "host:port", or the cluster's home.
    std::string coordinator;
    // How this worker talks to it, and to the servers.
    RpcOptions rpc = {};
    // Shown in the status; empty: "HOST-PID".
    std::string name;
    // Threads that compute, at least 1. Results do not depend on it.
    int threads = 1;
    // Called once, after the first join, on Run's thread. May be null.
    std::function<void()> on_joined;
    // Connections to each server, as in ParameterClient::Options.
    uint32_t channels = 0;
    // Opens the partitions of partitioned data sets, and outlives the worker; null: they are read where they lie.
    PartitionSource* partitions = nullptr;
    // Bytes in its cache, for the status; called from any thread. May be null.
    std::function<uint64_t()> cache_bytes = nullptr;
    // As RunLease says.
    bool check_sent = SentSpans::kByDefault;
    // Where data sets are, and the files that nets name.
    StorageTable storage = {};
  };

  explicit Worker(const Options& options);
  ~Worker();

  // Where its pages are, for its coordinator's status. Before Run.
  void Announce(const std::string& http) { session_.Announce(http); }

  // Works until Stop. Errors do not end it: they are reported to the coordinator, or logged and tried again after a
  // while.
  void Run();

  // Why it does not work now; empty: it has joined. From any thread.
  std::string UnreadyText() const;
  // Its work now, in a line for people. From any thread.
  std::string StatusText() const ABSL_LOCKS_EXCLUDED(work_mu_);
  // Its name in the status.
  static std::string NameOf(const Options& options);
  // The metrics of this worker (activity_clock.h).
  const Metrics& metrics() const { return metrics_; }

  // Makes Run drop the iteration under way, give back its leases, and return. Takes up to a few seconds if the
  // coordinator does not answer. If pushes keep a residual, blocks, for a few seconds at most, until an iteration was
  // pushed in full.
  void Stop();

 private:
  // Returns when joined or stopped.
  void Join();
  // Waits until there is a lease. Null: stopped, or to join again.
  std::shared_ptr<HeldLease> NextLease();
  void Work(const HeldLease& held);
  // The assignment of the lease's job. NOT_FOUND: the job has ended.
  absl::StatusOr<Assignment*> Prepare(const v1::WorkLease& lease);
  absl::StatusOr<v1::GetAssignmentResponse> AskForAssignment(const std::string& job_id);
  // After a lease that was dropped because servers did not answer: returns when they do, when others have taken their
  // places, or when patience ends.
  void AwaitSilentServers(const HeldLease& held, Assignment* assignment);
  void Report(const v1::WorkLease& lease, const absl::Status& failure);
  // From any thread.
  v1::WorkerFigures Figures() const;
  void SetWork(std::string work) ABSL_LOCKS_EXCLUDED(work_mu_);
  void SetOwing(bool owing) ABSL_LOCKS_EXCLUDED(owing_mu_);

  const Options options_;
  Stopper stopper_;
  ThreadPool pool_;
  Metrics metrics_;
  ActivityClock clock_{&metrics_};
  CoordinatorSession session_;
  AssignmentCache assignments_;
  // After failures of work, so that one bad worker does not use up a job's patience.
  Backoff failure_backoff_;
  bool told_joined_ = false;

  mutable absl::Mutex work_mu_;
  // "iterations 1200 to 1231 of job lenet", of the lease that is worked on; empty: none is.
  std::string work_ ABSL_GUARDED_BY(work_mu_);

  absl::Mutex owing_mu_;
  // A lease is being worked on that is to end with a push in full.
  bool owing_ ABSL_GUARDED_BY(owing_mu_) = false;
  // Nothing is owed any more.
  SteadyCondition settled_;
};

}  // namespace samovar
