// CoordinatorSession is the worker as its coordinator knows it: joins, keeps itself known by heartbeats, asks for
// leases, reports results, and learns which leases it has lost.
//
// Thread safety: Join, AskForLease and Leave on one thread; Stop from any. A thread of its own sends the heartbeats.
// Lock order: mu_, then those of the outbox and of a lease's stopper; no call is made while it is held.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"
#include "samovar/v1/coordinator.pb.h"
#include "worker/train/coordinator_client.h"
#include "worker/train/outbox.h"
#include "worker/train/wait_note.h"

namespace samovar {

// Work that this worker holds until `ended` is stopped: the lease was revoked, the worker is not known any more, or it
// stops.
struct HeldLease {
  v1::WorkLease lease;
  Stopper ended;
  // Set by the work, read by the heartbeats.
  mutable WaitNote waiting;
};

class CoordinatorSession {
 public:
  // `self` describes this worker to others. `figures` are sent with each heartbeat, and called on its thread.
  CoordinatorSession(const std::string& coordinator, const Dialer& dialer, const StorageTable& storage,
                     const v1::JoinRequest& self, std::function<v1::WorkerFigures()> figures);
  // As Stop(). Does not leave.
  ~CoordinatorSession();

  CoordinatorClient& client() { return client_; }
  const CoordinatorClient& client() const { return client_; }
  Outbox& outbox() { return outbox_; }

  // Where the worker serves its pages. Before the first Join.
  void Announce(const std::string& http) { self_.set_http(http); }

  // False before the first Join, and after the coordinator has said that it does not know the worker.
  bool joined() const;
  // Whether the last heartbeat was not answered.
  bool unreachable() const ABSL_LOCKS_EXCLUDED(mu_);
  // 0 if not joined.
  uint64_t worker_id() const;
  // Joins, as a new worker. Results for a coordinator that is gone are forgotten.
  absl::Status Join();

  struct Answer {
    // Null: nothing to do at present.
    std::shared_ptr<HeldLease> lease;
    absl::Duration retry_after;
  };
  // Reports, and asks for work. The lease before is taken for done. An error may mean that the worker is not joined any
  // more: the coordinator does not know it, or it has left, since it may hold a lease that it does not know of.
  absl::StatusOr<Answer> AskForLease();

  // Reports at once instead of with the next heartbeat.
  void ReportNow() { SendHeartbeat().IgnoreError(); }

  // Gives all leases back. The coordinator may be gone.
  absl::Status Leave();

  // Ends the held lease and the heartbeats. Idempotent.
  void Stop();

 private:
  void KeepKnown();
  absl::Status SendHeartbeat() ABSL_LOCKS_EXCLUDED(mu_);
  // The rest of the results fits into one report.
  absl::Status ReportUntilOneIsLeft() ABSL_LOCKS_EXCLUDED(mu_);
  // A lease whose answer was lost would be renewed by the heartbeats and never worked on: leaving gives it back.
  absl::Status LeaveToJoinAgain() ABSL_LOCKS_EXCLUDED(mu_);
  // The coordinator does not know this worker.
  void Lost(uint64_t worker_id) ABSL_LOCKS_EXCLUDED(mu_);
  void EndRevokedLocked(const v1::HeartbeatResponse& response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  v1::JoinRequest self_;
  const std::function<v1::WorkerFigures()> figures_;
  CoordinatorClient client_;
  Outbox outbox_;
  Stopper stopper_;
  // The last request for a lease failed on its way there or back. Used by the thread that asks.
  bool answer_lost_ = false;

  mutable absl::Mutex mu_;
  uint64_t worker_id_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration heartbeat_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<HeldLease> held_ ABSL_GUARDED_BY(mu_);
  // Revoked before AskForLease has returned them: its answer and a heartbeat's may cross.
  std::vector<uint64_t> revoked_early_ ABSL_GUARDED_BY(mu_);
  // The newest line of this process' log that the coordinator has.
  uint64_t sent_line_ ABSL_GUARDED_BY(mu_) = 0;
  // Whether the last heartbeat failed.
  bool unreachable_ ABSL_GUARDED_BY(mu_) = false;

  std::thread heartbeats_;
};

}  // namespace samovar
