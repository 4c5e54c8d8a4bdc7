// JobQueue is all jobs of a coordinator: it takes new ones, runs several at the same time, each on a thread of its own
// (job_runner.h), in the order of their submission, and keeps them in the job table, so that the next start of the
// coordinator goes on with them.
//
// A job that needs more servers than there are, or more memory than they have at present, lets others pass.
//
// The scheduler sleeps until it is woken: when a job was submitted; when servers may be there that were not
// (ServersChanged); when a job's thread gives back memory, or is about to end; when a name is free again that servers
// were asked to forget (SnapshotCleaner); and by Stop. By itself it looks only for changes that come with time: it
// writes jobs' news into the table while one runs, repeats steps that failed for want of memory, threads or disk, and
// notices that a server has fallen silent when a job waits for more servers.
//
// Thread safety: public methods may be called from any thread. Submit, Cancel and Forget wait for the disk, no other
// method does. Lock order: saving_mu_ and closing_mu_, which are held over I/O; then mu_; then a Job's and the
// cleaner's. The cluster view is called without any.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/steady_condition.h"
#include "common/base/stopper.h"
#include "common/storage/storage_table.h"
#include "common/telemetry/deferred_log.h"
#include "samovar/v1/job.pb.h"
#include "server/jobs/export_cleaner.h"
#include "server/jobs/job.h"
#include "server/jobs/job_runner.h"
#include "server/jobs/job_table.h"
#include "server/jobs/snapshot_cleaner.h"

namespace samovar {

class JobQueue : private JobKeeper {
 public:
  // Unless set.
  static constexpr int kMaxEndedJobs = 64;
  struct Options {
    // Jobs that run at the same time; more cost memory of servers and workers.
    int max_running = 4;
    // Ended jobs that are remembered, at least 1. When more have ended, those that ended first are forgotten as the
    // next job is submitted, and servers remove their snapshots.
    int max_ended = kMaxEndedJobs;
    uint64_t epoch = 0;
    // Outlives the queue. REQUIRES: not null
    ClusterView* cluster = nullptr;
    // Where snapshots are exported to.
    StorageTable storage = {};
    // A directory below which each job that names none has its exported snapshots in a directory of its own; empty:
    // those are not exported.
    std::string snapshots = "";
  };
  static constexpr size_t kMaxQueuedJobs = 256;

  // Takes up the jobs of the table. Null: jobs are forgotten when the process ends. Errors of the table.
  static absl::StatusOr<std::unique_ptr<JobQueue>> Create(const Options& options, std::unique_ptr<JobTable> table);
  // As Stop().
  ~JobQueue() override;

  // Begins to run jobs. The cluster view is called from now on, until Stop.
  void Start();
  // A server has registered that was not known, was silent, or was started again: jobs may begin that wait for one.
  // Does not block.
  void ServersChanged() { Wake(); }
  // Ends the threads. Jobs that run are as they are: the next start takes them up again. Idempotent.
  void Stop();

  // Returns the job's id once the table holds the job. Statuses are job.proto's; RESOURCE_EXHAUSTED also if the table's
  // disk is full. Nothing was submitted then.
  absl::StatusOr<std::string> Submit(v1::JobSpec spec);
  // Ends the job, and returns when the table knows.
  absl::Status Cancel(const std::string& job_id, const std::string& cause);
  // Forgets an ended job, and returns when the table has; servers remove its snapshots after that. Asks servers for the
  // snapshots of a name that is not known. Statuses are job.proto's.
  absl::Status Forget(const std::string& job_id);

  // NOT_FOUND: the message suggests a name that is like it.
  absl::StatusOr<std::shared_ptr<Job>> Find(const std::string& job_id) const;
  // The job's curve, in the order of iterations: of a job that has ended, from the table. NOT_FOUND as Find; errors of
  // the table. Does I/O.
  absl::StatusOr<std::vector<v1::HistoryBlock>> History(const std::string& job_id) const;
  // In the order of their submission.
  std::vector<std::shared_ptr<Job>> All() const;
  // Those that lease work.
  std::vector<std::shared_ptr<Job>> Running() const;

 private:
  struct Entry {
    std::shared_ptr<Job> job;
    // Newest event that the table knows.
    uint64_t saved_event = 0;
    // The table has the display's lines of iterations below.
    uint64_t saved_displays = 0;
    // A thread has it.
    bool at_runner = false;
    // Ended, and its chunks may still be in its servers' memory.
    bool open = false;
    // Value of changes_ before servers were asked that had no memory for it; 0: they were not asked.
    uint64_t refused_at = 0;
  };

  JobQueue(const Options& options, std::unique_ptr<JobTable> table);

  absl::Status Load();
  // The scheduler's thread.
  void Schedule();
  // Has the scheduler look at the jobs.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // Blocks until the scheduler is woken, or until that time. Returns whether it was woken.
  bool AwaitWake(absl::Time until) ABSL_LOCKS_EXCLUDED(mu_);
  void JoinEnded() ABSL_LOCKS_EXCLUDED(mu_);
  // Returns when it is to look again, if nothing wakes it before.
  absl::Time StartReady() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether something may be to be written down that nothing tells of.
  bool MayBeUnsaved() const ABSL_LOCKS_EXCLUDED(mu_);
  bool FreeMemory() override { return CloseEnded(0) > 0; }
  void SaveJobs() override { Save().IgnoreError(); }
  bool IsReplaced() override { return table_ != nullptr && absl::IsFailedPrecondition(table_->CheckOwner()); }
  // Empty: the job can start.
  std::string WhatItWaitsFor(const Entry& entry, size_t servers) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Writes the news of the jobs since the last call into the table. A failure is logged, and the news are written with
  // the next call.
  absl::Status Save() ABSL_LOCKS_EXCLUDED(saving_mu_, mu_);
  absl::Status SaveHeld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(saving_mu_) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes what has happened to the curves since, those of running jobs not more often than the table wants. A failure
  // is logged, and the rest is written with a later call.
  void SaveHistories() ABSL_EXCLUSIVE_LOCKS_REQUIRED(saving_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  // A job from before this coordinator gets the curve that the table has of it.
  void RestoreHistory(Job* job);
  // The curve of the job that is to be resumed; empty: none can be read.
  HistoryBlocks HistoryToResume(uint64_t number) const;

  // A job's thread. False: it has no memory, or the system no thread more; the job waits.
  bool StartRunnerLocked(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunOne(const std::shared_ptr<Job>& job);
  // Ends the job with the error of its thread.
  void Fail(Job* job, const absl::Status& status);
  // False: the job waits until another one has ended.
  bool RunUnlessRefused(Job* job);
  // Servers forget the job that they hold under this name.
  void CloseEverywhere(const std::string& job_id) ABSL_LOCKS_EXCLUDED(closing_mu_, mu_);
  // Servers forget ended jobs but for the newest `keep`. Returns how many that were.
  int CloseEnded(int keep) ABSL_LOCKS_EXCLUDED(closing_mu_, mu_);

  // Whether a thread has another job.
  bool OthersRunLocked(const Job& job) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Entry* FindLocked(const std::string& job_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Null: another job has taken its name.
  Entry* EntryOfLocked(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // All but the newest ended jobs, and but for that one.
  void ForgetOldLocked(std::optional<uint64_t> kept, DeferredLog* log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetLocked(std::deque<Entry>::iterator entry, DeferredLog* log) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Those of a job that is none of the queue's any more, if the coordinator chose their directory.
  void ForgetExportsLocked(const v1::JobSpec& spec) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The table knows that it is forgotten: what is left of it is removed, but no exports that a known job needs.
  void CleanLocked(const JobTable::Forgotten& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether a known job needs the exports of a forgotten one: it began from them, or it goes on with that job, exports
  // to another place, and has not a whole snapshot there yet.
  bool IsNeededLocked(const std::string& exports) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Kept exports that no known job needs any more are removed.
  void CleanKeptLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Where the job's snapshots are exported to, if the client does not say. `earlier`: the job whose place it takes; may
  // be null. REQUIRES: its id and run are set.
  void ChooseExports(const v1::JobSpec* earlier, v1::JobSpec* spec) const;
  // The directory of a job's exported snapshots, if the coordinator chooses it.
  std::string ExportsOf(const std::string& job_id, uint64_t run) const;
  // The runs of which servers have something under a name that no job has. NOT_FOUND: none has.
  absl::StatusOr<std::set<uint64_t>> RunsLeftBehind(const std::string& job_id) const ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  // Null: none is kept.
  const std::unique_ptr<JobTable> table_;
  Stopper stopper_;

  // One at a time writes the table, so that no older state comes after a newer one.
  absl::Mutex saving_mu_;
  // Logged once, until it succeeds again.
  bool save_failed_ ABSL_GUARDED_BY(saving_mu_) = false;
  bool history_failed_ ABSL_GUARDED_BY(saving_mu_) = false;
  absl::Time histories_saved_ ABSL_GUARDED_BY(saving_mu_) = absl::InfinitePast();
  // No job of the same name is opened while an ended one is being closed.
  absl::Mutex closing_mu_;

  mutable absl::Mutex mu_;
  // The scheduler has to look; set by Wake.
  bool woken_ ABSL_GUARDED_BY(mu_) = true;
  SteadyCondition wake_;
  // In the order of submission; ended ones stay until they are forgotten.
  std::deque<Entry> jobs_ ABSL_GUARDED_BY(mu_);
  uint64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
  // Jobs that the table is to forget.
  std::vector<JobTable::Forgotten> forgotten_ ABSL_GUARDED_BY(mu_);
  // Directories of exports of forgotten jobs that known jobs need.
  std::vector<std::string> kept_exports_ ABSL_GUARDED_BY(mu_);
  // Raised whenever servers may have more memory than before: jobs that were refused are tried again.
  uint64_t changes_ ABSL_GUARDED_BY(mu_) = 1;
  // Times that a thread was done with its job, refused or not.
  uint64_t returns_ ABSL_GUARDED_BY(mu_) = 0;
  // Numbers of jobs whose threads are about to end. There is room for one of each thread.
  std::vector<uint64_t> ending_ ABSL_GUARDED_BY(mu_);

  struct Runner {
    std::string job_id;
    std::thread thread;
  };
  // The scheduler's, by the job's number.
  std::map<uint64_t, Runner> runners_;
  SnapshotCleaner cleaner_;
  ExportCleaner export_cleaner_;
  std::thread scheduler_;
};

}  // namespace samovar
