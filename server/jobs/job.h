// Job is one training job as its coordinator sees it: its state, its leases, its tests, its checkpoints, its figures.
//
// Workers' calls change it (Lease, Report, Renew, ReleaseWorker); the job's runner (job_runner.h) drives it through its
// life and makes the calls to servers. Nothing here does I/O. Times that are passed are SteadyNow()'s (clock.h); times
// for people are the wall clock's.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/steady_condition.h"
#include "samovar/v1/coordinator.pb.h"
#include "samovar/v1/job.pb.h"
#include "samovar/v1/job_record.pb.h"
#include "server/jobs/checkpoints.h"
#include "server/jobs/client_hold.h"
#include "server/jobs/event_log.h"
#include "server/jobs/failure_streak.h"
#include "server/jobs/job_figures.h"
#include "server/jobs/job_plan.h"
#include "server/jobs/job_state.h"
#include "server/leases/silent_links.h"
#include "server/leases/test_passes.h"
#include "server/leases/train_leases.h"

namespace samovar {

class Job {
 public:
  using Plan = JobPlan;
  // Its number is unique among the coordinator's jobs, and below 2^22. REQUIRES: CheckJobSpec(spec).ok()
  explicit Job(v1::JobSpec spec, uint64_t number = 0);
  // A job that an earlier coordinator has left: one that has ended, or one that waits, and may have been running.
  Job(v1::JobSpec spec, uint64_t number, const v1::JobRecord& record);

  const v1::JobSpec& spec() const { return spec_; }
  uint64_t number() const { return number_; }
  uint32_t weight() const { return spec_.weight() == 0 ? 1 : spec_.weight(); }
  const std::string& id() const { return spec_.job_id(); }
  // Whether the job was begun under an earlier coordinator: its servers may hold it still, or snapshots of it.
  bool recovered() const { return recovered_; }
  uint64_t max_iter() const { return static_cast<uint64_t>(spec_.solver().max_iter()); }

  // --- for the runner ---
  // Its servers are about to be asked to hold it.
  void Begin();
  // The cause of a QUEUED job's wait.
  void SetCause(const std::string& cause);
  void Start(Plan plan, absl::Time now);
  // A RUNNING job pauses: nothing is leased, and workers drop their work, until Resume or Recovered. `cause` names the
  // servers that it waits for.
  void Suspend(const std::string& cause);
  // All is as it was.
  void Resume();
  // Servers were lost, and the job is open again. `plan.done` has the iterations that all chunks hold now; the rest is
  // leased again. Reports on leases from before count no more, and a checkpoint that was under way is taken anew when
  // it is due.
  void Recovered(Plan plan);
  // For people: an event of the job.
  void AddNotice(const std::string& notice);
  // Blocks until the runner has something to do, or for the given time.
  void AwaitWork(absl::Duration time);
  // The checkpoint that is due, at most one at a time. The one at max_iter comes when the ledgers were found complete.
  std::optional<Checkpoint> TakeCheckpoint();
  // The weights are frozen: training may go on beyond the checkpoint, and its tests begin, shared by that many workers.
  void CheckpointFrozen(const Checkpoint& checkpoint, uint64_t workers);
  // A server is lost or silent: the checkpoint is due again.
  void CheckpointNotBegun();
  // The servers have no memory for a copy of the weights. The checkpoint is passed over; the one at max_iter is due
  // again.
  void CheckpointRefused(const Checkpoint& checkpoint, const absl::Status& status);
  // An OK status: the snapshot is durable at all servers.
  void SnapshotEnded(uint64_t iteration, const absl::Status& status);
  // All servers hold these of the job's run. Those that are not listed yet are listed, and held for the client: a
  // coordinator may have died before its job table had them.
  void SnapshotsFound(const std::set<uint64_t>& found);
  // All servers hold these of the snapshots that were written; the others are gone.
  void SnapshotsHeld(const std::set<uint64_t>& held);
  // Iterations of the snapshots that the client has yet to fetch.
  std::set<uint64_t> unfetched() const;
  // Nothing is held any more for a client that fetches nothing while training waits for it.
  void ReviewHold(absl::Time now);
  // The cause of a RUNNING job's wait, while nothing of it is taken back; empty: it does not wait.
  void SetWait(const std::string& cause);
  // The snapshot's directory, or why it has none.
  void ExportEnded(uint64_t iteration, const absl::StatusOr<std::string>& exported);
  // Whether all tests of the checkpoint have their results.
  bool TestsDone() const;
  void CheckpointEnded();
  // Whether workers have reported all iterations, and the ledgers have not been compared since.
  bool AwaitsVerification() const;
  // Takes the servers' ledgers. Iterations that some chunk lacks are leased again.
  void Verified(const Ledger& held_by_all, const v1::LedgerSummary& summary);
  // Takes the chunks' counts, and how far their ledgers are, before all are complete.
  void TakeLedgers(const v1::LedgerSummary& summary);
  // The first end counts.
  void End(v1::JobState state, const std::string& cause, absl::Time now);
  bool ended() const;
  // When it ended: by the steady clock, InfinitePast if that was before this coordinator's start; and in ms since 1970.
  std::pair<absl::Time, uint64_t> EndTimes() const;
  bool running() const;
  bool queued() const;

  // --- for workers ---
  // Work for the worker: a slice of a test first, then iterations. None: nothing to do at present.
  std::optional<v1::WorkLease> Lease(uint64_t worker, uint64_t workers, absl::Time now);
  // Takes the part of the report that is about this job. Returns the number of iterations that were not known as done.
  uint64_t Report(uint64_t worker, const std::string& worker_name, const v1::WorkerReport& report, absl::Time now);
  void Renew(uint64_t worker, uint64_t lease_id, absl::Time now);
  // The cause that the worker, called `name`, gives for its wait.
  void TakeWait(uint64_t worker, const std::string& name, const v1::WorkerWait& wait, absl::Time now);
  // The worker is gone; `news` names it and the reason, for the log.
  void ReleaseWorker(uint64_t worker, const std::string& news = "");
  // The worker lives, and has gone over to another job. It holds no lease.
  void WorkerWentOver(uint64_t worker);
  // Takes back leases that ran out, or that others wait for. `name_of`: of a worker.
  void Expire(absl::Time now, absl::FunctionRef<std::string(uint64_t)> name_of);
  // Leases that the worker should stop working on.
  std::vector<uint64_t> TakeRevoked(uint64_t worker);
  // Whether the lease is one that the worker should be working on.
  bool Holds(uint64_t worker, uint64_t lease_id) const;
  // For the status, by worker: "train 120..128", "test net 0 300..400".
  std::map<uint64_t, std::vector<std::string>> LeaseNames() const;
  // Empty unless the job is running.
  std::optional<v1::GetAssignmentResponse> Assignment() const;

  // --- for users ---
  // Asks for a snapshot as soon as all iterations that are leased now are done. Returns its iteration, or max_iter if
  // the last one comes as soon. With `export_to`, a directory, it is exported as well. FAILED_PRECONDITION: the job is
  // not running, or a snapshot that was asked for before is exported to elsewhere. `last`: the job goes no further than
  // that.
  absl::StatusOr<uint64_t> RequestSnapshot(const std::string& export_to = "", bool last = false);
  // The client has these snapshots.
  void Acknowledge(const std::set<uint64_t>& fetched);
  v1::JobStatus Status(absl::Time now) const;
  // As DisplayLog::From.
  std::vector<v1::DisplayLine> DisplaysFrom(uint64_t iteration) const;
  // Events with a higher number than this, oldest first.
  std::vector<v1::JobEvent> EventsAfter(uint64_t number) const;
  uint64_t newest_event() const;
  // The iteration after that of the newest line of the display; 0: there is none.
  uint64_t displays_end() const;

  // The snapshots of the ended job that this one resumes, for as long as this one has not begun: they are there also if
  // it never does.
  void TakeOverSnapshots(const v1::JobStatus& earlier);

  // --- the curve (job_history.h) ---
  // The blocks that the table has of a job from before this coordinator; or those of the job that this one resumes.
  // Before Start; else the job goes on without a curve. What is called first counts.
  void RestoreHistory(HistoryBlocks blocks);
  bool awaits_history() const;
  // The curve in the order of iterations. None: the table has it, this object has not.
  std::optional<std::vector<v1::HistoryBlock>> History() const;
  // Whether there are changes of it to be stored, or it is an ended job's that is to be let go of.
  bool history_unsaved() const;
  // As JobHistory. An ended job's that is stored is let go of.
  JobHistory::Changes TakeHistoryChanges();
  void HistoryStored(uint64_t version);
  // The record from which another coordinator takes the job up, with the display's lines from that iteration on. Only
  // events and lines make it differ in a way that must be stored.
  v1::JobRecord Record(absl::Time now, uint64_t displays_from = 0) const;
  // Blocks until the status has changed since `version`, or for the given time; returns the version now.
  uint64_t AwaitChange(uint64_t version, absl::Duration time) const;

 private:
  // Test leases have this bit, the training's have not.
  static constexpr uint64_t kTestLease = uint64_t{1} << 63;

  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++version_;
    changed_.NotifyAll();
  }
  void Note(v1::JobEvent::Kind kind, const std::string& text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::JobStatus StatusLocked(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether all test nets have been tested at that iteration.
  bool HasTested(uint64_t iteration) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The job was taken up again, and has not come to later iterations this time: their results go.
  void ForgetBeyond(uint64_t iteration) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::string> LeaseNamesLocked(uint64_t worker) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ids of leases are unique among all jobs: a worker knows a lease by its id alone.
  uint64_t Outside(uint64_t lease_id) const { return lease_id | lease_base_; }
  uint64_t Inside(uint64_t lease_id) const { return lease_id & ~lease_base_; }
  // Whether the lease is from before the last Recovered.
  bool IsVoid(uint64_t lease_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::optional<Checkpoint> DueCheckpoint() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // That one, unless it waits for the client.
  std::optional<Checkpoint> TakeableCheckpoint() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether a further snapshot would be one too many that the client has not fetched.
  bool IsHeldBack(const Checkpoint& due) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellLate(uint64_t worker, const std::string& name, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The cause of a standstill, if no iteration has been done for some seconds.
  std::string SilenceText(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Empty: it is not.
  std::string HeldBackText() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SnapshotFailed(uint64_t iteration, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UpdateLimit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { leases_->SetLimit(checkpoints_.limit()); }
  void EndLocked(v1::JobState state, const std::string& cause, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddNoticeLocked(const std::string& notice) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Says that an iteration was skipped.
  void TakeSkipped(const v1::TrainResult& result, const std::string& finding) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Says once that there are more workers than the job can use without loss.
  void AdviseWorkers(uint64_t workers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t TakeTrainResults(uint64_t worker, const v1::WorkerReport& report, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeTestResults(const v1::WorkerReport& report, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeFailures(const std::string& worker_name, const v1::WorkerReport& report, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReleaseLease(uint64_t lease_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The tests that go on do not. Returns their iteration, if they are not done.
  std::optional<uint64_t> DropTests() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const v1::JobSpec spec_;
  const uint64_t number_;
  const uint64_t lease_base_;
  bool recovered_ = false;
  // The iteration at which the run began under an earlier coordinator.
  std::optional<uint64_t> began_at_;
  mutable absl::Mutex mu_;
  mutable SteadyCondition changed_;
  // Raised by every change that a watcher would see.
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 1;
  v1::JobState state_ ABSL_GUARDED_BY(mu_) = v1::JOB_STATE_QUEUED;
  std::string cause_ ABSL_GUARDED_BY(mu_);
  Plan plan_ ABSL_GUARDED_BY(mu_);
  // progress_ has the whole curve, and does not wait for an earlier part of it.
  bool has_history_ ABSL_GUARDED_BY(mu_);
  JobFigures progress_ ABSL_GUARDED_BY(mu_);
  // Null until the job starts.
  std::unique_ptr<TrainLeases> leases_ ABSL_GUARDED_BY(mu_);
  bool suspended_ ABSL_GUARDED_BY(mu_) = false;
  // Raised by each Recovered.
  uint64_t placement_ ABSL_GUARDED_BY(mu_) = 0;
  // Leases before these are from before the last Recovered. The highest train lease so far.
  uint64_t first_train_lease_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t first_test_lease_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_train_lease_ ABSL_GUARDED_BY(mu_) = 0;

  Checkpoints checkpoints_ ABSL_GUARDED_BY(mu_);
  // Beyond the last iteration that was leased.
  uint64_t leased_end_ ABSL_GUARDED_BY(mu_) = 0;
  ClientHold hold_ ABSL_GUARDED_BY(mu_);
  TestPasses tests_ ABSL_GUARDED_BY(mu_){kTestLease};
  SilentLinks silent_links_ ABSL_GUARDED_BY(mu_);
  // Workers that were found late, with the time, and have not given a cause since.
  std::map<uint64_t, absl::Time> late_ ABSL_GUARDED_BY(mu_);
  // When an iteration was last done.
  absl::Time advanced_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  FailureStreak failures_ ABSL_GUARDED_BY(mu_);
  // The part of the status that is not computed when it is asked for.
  v1::JobStatus figures_ ABSL_GUARDED_BY(mu_);
  EventLog events_ ABSL_GUARDED_BY(mu_);
  // The most workers that AdviseWorkers has seen, and whether it has said something.
  uint64_t advised_workers_ ABSL_GUARDED_BY(mu_) = 0;
  bool advised_ ABSL_GUARDED_BY(mu_) = false;
  bool begun_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time started_ ABSL_GUARDED_BY(mu_);
  absl::Time ended_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace samovar
