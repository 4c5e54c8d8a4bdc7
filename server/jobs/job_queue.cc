#include "server/jobs/job_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/status_macros.h"
#include "common/model/job_name.h"
#include "common/telemetry/deferred_log.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"
#include "server/cluster/parameter_servers.h"
#include "server/jobs/job_spec.h"

namespace samovar {
namespace {

constexpr char kThread[] = "the jobs' scheduler";
// A job that failed for want of memory or threads is tried again after this long.
constexpr absl::Duration kRetry = absl::Milliseconds(50);
constexpr absl::Duration kSaveEvery = absl::Milliseconds(500);
// A server is not among the live ones any more once its silence is this much longer than the timeout.
constexpr absl::Duration kTickBeyond = absl::Milliseconds(1);
// So many ended jobs stay in their servers' memory, so that a last model that could not be written can be read.
constexpr int kKeptOpen = 1;
// A curve that cannot be read is tried again so often before its job goes on without.
constexpr int kHistoryTries = 5;
constexpr absl::Duration kHistoryRetry = absl::Seconds(1);

// The iteration after that of the newest line in the record.
uint64_t DisplaysEnd(const v1::JobRecord& record) {
  return record.displays().empty() ? 0 : record.displays().rbegin()->iteration() + 1;
}

}  // namespace

absl::StatusOr<std::unique_ptr<JobQueue>> JobQueue::Create(const Options& options, std::unique_ptr<JobTable> table) {
  std::unique_ptr<JobQueue> queue(new JobQueue(options, std::move(table)));
  SAMOVAR_RETURN_IF_ERROR(queue->Load());
  return queue;
}

JobQueue::JobQueue(const Options& options, std::unique_ptr<JobTable> table)
    : options_(options),
      table_(std::move(table)),
      cleaner_(options.epoch, options.cluster, [this] { Wake(); }),
      export_cleaner_(options.storage) {}

JobQueue::~JobQueue() { Stop(); }

absl::Status JobQueue::Load() {
  if (table_ == nullptr) return absl::OkStatus();
  std::vector<std::string> damaged;
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<JobTable::Entry> entries, table_->Load(&damaged));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<JobTable::Forgotten> forgotten, table_->LoadForgotten());
  absl::MutexLock lock(&mu_);
  for (const JobTable::Entry& stored : entries) {
    last_number_ = std::max(last_number_, stored.number);
    const absl::Status good = CheckJobSpec(stored.spec);
    // Without a name no user could ask for it.
    if (!good.ok() && !CheckJobName(stored.spec.job_id()).ok()) {
      damaged.push_back(absl::StrCat("job number ", stored.number, " of the job table: ", good.message()));
      continue;
    }
    Entry entry;
    entry.job = std::make_shared<Job>(stored.spec, stored.number, stored.record);
    if (!good.ok()) {
      const std::string cause = absl::StrCat("the job table has a job that cannot be taken up: ", good.message());
      if (!entry.job->ended()) LogError(absl::StrCat("job ", entry.job->id(), " FAILED: ", cause));
      entry.job->End(v1::JOB_STATE_FAILED, cause, SteadyNow());
    }
    entry.saved_event = stored.record.events().empty() ? 0 : stored.record.events().rbegin()->number();
    entry.saved_displays = DisplaysEnd(stored.record);
    LogInfo(absl::StrCat("job ", entry.job->id(), ": ", StateName(stored.record.status().state()),
                         entry.job->recovered() ? ", is taken up again" : ""));
    jobs_.push_back(std::move(entry));
  }
  for (const JobTable::Forgotten& job : forgotten) {
    last_number_ = std::max(last_number_, job.number);
    CleanLocked(job);
  }
  for (const std::string& line : damaged) LogError(absl::StrCat(line, "; it is left out"));
  return absl::OkStatus();
}

void JobQueue::CleanLocked(const JobTable::Forgotten& job) {
  if (!job.exports.empty()) {
    kept_exports_.push_back(job.exports);
    CleanKeptLocked();
  } else if (FindLocked(job.job_id) == nullptr) {
    cleaner_.Forget(job.job_id);
  }
}

bool JobQueue::IsNeededLocked(const std::string& exports) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const Entry& entry) {
    const v1::JobSpec& spec = entry.job->spec();
    if (absl::StartsWith(spec.initial_model().exported_snapshot(), absl::StrCat(exports, "/"))) return true;
    const bool goes_on = spec.resume() && spec.export_snapshots() != exports &&
                         exports.substr(0, exports.rfind('-')) == absl::StrCat(options_.snapshots, "/", spec.job_id());
    return goes_on && !absl::StartsWith(entry.job->Status(SteadyNow()).exported_snapshot(),
                                        absl::StrCat(spec.export_snapshots(), "/"));
  });
}

void JobQueue::CleanKeptLocked() {
  std::erase_if(kept_exports_, [this](const std::string& directory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (IsNeededLocked(directory)) return false;
    export_cleaner_.Forget(directory);
    return true;
  });
}

void JobQueue::Start() {
  scheduler_ = std::thread([this] { Schedule(); });
  cleaner_.Start();
  export_cleaner_.Start();
}

void JobQueue::Stop() {
  stopper_.Stop();
  Wake();
  cleaner_.Stop();
  export_cleaner_.Stop();
  if (scheduler_.joinable()) scheduler_.join();
}

// --- The scheduler's thread ---

void JobQueue::Schedule() {
  absl::Time look = absl::InfiniteFuture();
  absl::Time save = absl::InfiniteFuture();
  while (!stopper_.stopped()) {
    const bool woken = AwaitWake(std::min(look, save));
    if (stopper_.stopped()) break;
    if (woken || SteadyNow() >= look) {
      const bool looked =
          RunTurn(kThread, [this] { JoinEnded(); }) && RunTurn(kThread, [this, &look] { look = StartReady(); });
      if (!looked) look = SteadyNow() + kRetry;
    }
    // It is logged, and tried again.
    if (SteadyNow() >= save) {
      RunTurn(kThread, [this] { Save().IgnoreError(); });
      save = absl::InfiniteFuture();
    }
    if (save == absl::InfiniteFuture() && MayBeUnsaved()) save = SteadyNow() + kSaveEvery;
  }
  for (auto& [number, runner] : runners_) runner.thread.join();
  runners_.clear();
  RunTurn(kThread, [this] { Save().IgnoreError(); });
}

void JobQueue::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
  wake_.NotifyAll();
}

bool JobQueue::AwaitWake(absl::Time until) {
  absl::MutexLock lock(&mu_);
  wake_.WaitFor(&mu_, until - SteadyNow(), [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return woken_; });
  return std::exchange(woken_, false);
}

bool JobQueue::MayBeUnsaved() const {
  absl::MutexLock lock(&mu_);
  return !forgotten_.empty() || std::any_of(jobs_.begin(), jobs_.end(), [this](const Entry& entry) {
    return entry.at_runner || entry.saved_event != entry.job->newest_event() ||
           (table_ != nullptr && entry.job->history_unsaved());
  });
}

void JobQueue::JoinEnded() {
  std::vector<uint64_t> ended;
  {
    absl::MutexLock lock(&mu_);
    ended = ending_;
    // It keeps its memory, see StartRunnerLocked.
    ending_.clear();
  }
  for (uint64_t number : ended) {
    runners_.at(number).thread.join();
    runners_.erase(number);
  }
}

std::string JobQueue::WhatItWaitsFor(const Entry& entry, size_t servers) const {
  const v1::JobSpec& spec = entry.job->spec();
  if (servers < spec.servers())
    return absl::StrCat("waits for servers: ", servers, " of ", spec.servers(), " have registered");
  for (const auto& [number, runner] : runners_) {
    if (runner.job_id == spec.job_id()) return "waits until the former job of its name has ended completely";
  }
  if (cleaner_.Cleans(spec.job_id())) return "waits until the snapshots of a forgotten job of its name are removed";
  if (runners_.size() >= static_cast<size_t>(options_.max_running)) {
    return absl::StrCat("waits until one of the ", options_.max_running, " jobs that run has ended");
  }
  return "";
}

absl::Time JobQueue::StartReady() {
  const std::vector<Membership::Server> servers = LiveServers(*options_.cluster);
  absl::Time look = absl::InfiniteFuture();
  absl::MutexLock lock(&mu_);
  for (Entry& entry : jobs_) {
    if (entry.at_runner || entry.job->ended() || entry.refused_at == changes_) continue;
    const std::string awaited = WhatItWaitsFor(entry, servers.size());
    entry.job->SetCause(awaited);
    if (awaited.empty()) {
      if (!StartRunnerLocked(&entry)) look = std::min(look, SteadyNow() + kRetry);
      continue;
    }
    // The cause counts the servers.
    if (servers.size() >= entry.job->spec().servers()) continue;
    for (const Membership::Server& server : servers)
      look = std::min(look, server.heard + Membership::kServerTimeout + kTickBeyond);
  }
  return look;
}

bool JobQueue::StartRunnerLocked(Entry* entry) {
  const uint64_t number = entry->job->number();
  Runner& runner = runners_[number];
  const absl::Status started = CatchExceptions([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    // So that the thread's last step needs no memory.
    ending_.reserve(runners_.size());
    runner.job_id = entry->job->id();
    runner.thread = std::thread([this, job = entry->job] { RunOne(job); });
    return absl::OkStatus();
  });
  if (started.ok()) {
    entry->at_runner = true;
    return true;
  }
  runners_.erase(number);
  entry->job->SetCause(absl::StrCat("waits until the coordinator can start a thread for it: ", started.message()));
  return false;
}

absl::Status JobQueue::Save() {
  absl::MutexLock saving(&saving_mu_);
  return SaveHeld();
}

void JobQueue::SaveHistories() {
  if (table_ == nullptr) return;
  const absl::Time now = SteadyNow();
  const bool due = now - histories_saved_ >= table_->HistoryInterval();
  std::vector<std::shared_ptr<Job>> jobs;
  {
    absl::MutexLock lock(&mu_);
    for (const Entry& entry : jobs_) {
      if (entry.job->history_unsaved() && (due || entry.job->ended())) jobs.push_back(entry.job);
    }
  }
  if (jobs.empty()) return;
  if (due) histories_saved_ = now;
  std::vector<JobTable::HistoryChange> changes;
  std::vector<uint64_t> versions;
  for (const std::shared_ptr<Job>& job : jobs) {
    JobHistory::Changes change = job->TakeHistoryChanges();
    versions.push_back(change.version);
    if (!change.empty()) changes.push_back({job->number(), std::move(change.written), std::move(change.removed)});
  }
  const absl::Status saved = changes.empty() ? absl::OkStatus() : table_->UpdateHistory(changes);
  if (!saved.ok()) {
    if (!std::exchange(history_failed_, true)) {
      LogError(absl::StrCat("the curves of the jobs could not be written, and are kept in memory until they can: ",
                            saved.message()));
    }
    return;
  }
  if (std::exchange(history_failed_, false)) LogInfo("the curves of the jobs can be written again");
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i]->HistoryStored(versions[i]);
}

absl::Status JobQueue::SaveHeld() {
  // First: a job that has ended, as the table says, has its whole curve there.
  SaveHistories();
  std::vector<JobTable::Change> changes;
  std::vector<JobTable::Forgotten> forgotten;
  {
    absl::MutexLock lock(&mu_);
    for (const Entry& entry : jobs_) {
      if (entry.saved_event == entry.job->newest_event() && entry.saved_displays >= entry.job->displays_end()) continue;
      changes.push_back({entry.job->number(), entry.job->Record(SteadyNow(), entry.saved_displays)});
    }
    forgotten = forgotten_;
  }
  if (changes.empty() && forgotten.empty()) return absl::OkStatus();
  const absl::Status saved = table_ == nullptr ? absl::OkStatus() : table_->Update(changes, forgotten);
  if (!saved.ok()) {
    if (!std::exchange(save_failed_, true)) {
      LogError(
          absl::StrCat("the news of the jobs could not be written to the disk, and is kept in memory until it can: ",
                       saved.message()));
    }
    return saved;
  }
  if (std::exchange(save_failed_, false)) LogInfo("the job table can be written again");
  absl::MutexLock lock(&mu_);
  for (const JobTable::Change& change : changes) {
    Entry* entry = EntryOfLocked(change.number);
    if (entry == nullptr) continue;
    entry->saved_event = change.record.events().rbegin()->number();
    entry->saved_displays = std::max(entry->saved_displays, DisplaysEnd(change.record));
  }
  // Nothing of them is removed before: a coordinator that is started again must not list a job without its snapshots.
  for (const JobTable::Forgotten& job : forgotten) {
    std::erase_if(forgotten_, [&job](const JobTable::Forgotten& other) { return other.number == job.number; });
    CleanLocked(job);
  }
  CleanKeptLocked();
  return absl::OkStatus();
}

// --- A job's thread ---

void JobQueue::RunOne(const std::shared_ptr<Job>& job) {
  bool ran = true;
  const absl::Status status = CatchExceptions([&] {
    // The table knows a job before it begins, and its end soon after, so that the next coordinator does not run an
    // ended job again.
    job->Begin();
    Save().IgnoreError();
    RestoreHistory(job.get());
    // The name may have been another job's.
    if (!job->recovered()) CloseEverywhere(job->id());
    ran = RunUnlessRefused(job.get());
    // One that ended before it ran does not know its servers.
    if (job->ended() && job->Status(SteadyNow()).servers().empty()) CloseEverywhere(job->id());
    return absl::OkStatus();
  });
  if (!status.ok()) Fail(job.get(), status);
  {
    absl::MutexLock lock(&mu_);
    ++returns_;
    // A job that was refused waits until others give memory back; if no others run, two may have been in each other's
    // way.
    if (ran || !OthersRunLocked(*job)) ++changes_;
    if (Entry* entry = EntryOfLocked(job->number())) {
      entry->at_runner = false;
      entry->open = job->ended();
    }
  }
  // Others may wait for the memory that it has given back.
  Wake();
  RunTurn("a job's thread", [this] {
    Save().IgnoreError();
    if (!stopper_.stopped()) CloseEnded(kKeptOpen);
  });
  {
    absl::MutexLock lock(&mu_);
    ending_.push_back(job->number());
  }
  Wake();
}

void JobQueue::RestoreHistory(Job* job) {
  if (!job->awaits_history()) return;
  if (table_ == nullptr) return job->RestoreHistory({});
  for (int tries = 1;; ++tries) {
    absl::StatusOr<HistoryBlocks> blocks = table_->LoadHistory(job->number());
    if (blocks.ok()) return job->RestoreHistory(*std::move(blocks));
    if (tries < kHistoryTries && !stopper_.WaitFor(kHistoryRetry)) continue;
    return job->AddNotice(absl::StrCat("the curve of the job so far cannot be read, and is not gone on with: ",
                                       blocks.status().message()));
  }
}

HistoryBlocks JobQueue::HistoryToResume(uint64_t number) const {
  if (table_ == nullptr) return {};
  absl::StatusOr<HistoryBlocks> blocks = table_->LoadHistory(number);
  if (blocks.ok()) return *std::move(blocks);
  LogError(absl::StrCat("the curve of the job that is resumed cannot be read: ", blocks.status().message()));
  return {};
}

void JobQueue::Fail(Job* job, const absl::Status& status) {
  // That may need memory, too.
  const auto fail = [&] {
    LogError(absl::StrCat("job ", job->id(), " FAILED: ", status.message()));
    job->End(v1::JOB_STATE_FAILED, std::string(status.message()), SteadyNow());
  };
  while (!job->ended() && !RunTurn("a job's thread", fail)) {
    if (stopper_.WaitFor(kRetry)) return;
  }
}

bool JobQueue::RunUnlessRefused(Job* job) {
  while (true) {
    uint64_t changes = 0;
    uint64_t returns = 0;
    {
      absl::MutexLock lock(&mu_);
      changes = changes_;
      returns = returns_;
    }
    const absl::Status status = CatchExceptions(
        [&] { return RunJob(job, options_.epoch, options_.cluster, options_.storage, this, stopper_); });
    // An exception ends this job; the others' threads go on.
    if (!status.ok() && !absl::IsCancelled(status) && (job->running() || !absl::IsResourceExhausted(status))) {
      Fail(job, status);
    }
    if (!absl::IsResourceExhausted(status) || job->ended()) return true;
    CloseEverywhere(job->id());
    if (CloseEnded(0) > 0) continue;
    absl::MutexLock lock(&mu_);
    if (OthersRunLocked(*job)) {
      job->SetCause(absl::StrCat("waits until another job has ended, for memory: ", status.message()));
      if (Entry* entry = EntryOfLocked(job->number())) entry->refused_at = changes;
      return false;
    }
    // Others may have had the memory while the servers were asked.
    if (returns_ != returns) continue;
    job->End(v1::JOB_STATE_FAILED, absl::StrCat("does not fit into its servers' memory: ", status.message()),
             SteadyNow());
    return true;
  }
}

bool JobQueue::OthersRunLocked(const Job& job) const {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [&](const Entry& entry) { return entry.at_runner && entry.job.get() != &job; });
}

void JobQueue::CloseEverywhere(const std::string& job_id) {
  const ParameterServers servers(AddressesOf(LiveServers(*options_.cluster)), &options_.cluster->Channels(), &stopper_);
  absl::MutexLock closing(&closing_mu_);
  const absl::Status closed = servers.CloseJob(job_id, options_.epoch, options_.cluster->NextOpening());
  if (!closed.ok()) LogWarning(absl::StrCat("job ", job_id, ": could not be closed: ", closed.message()));
}

int JobQueue::CloseEnded(int keep) {
  absl::MutexLock closing(&closing_mu_);
  std::vector<v1::JobStatus> to_close;
  {
    absl::MutexLock lock(&mu_);
    for (auto entry = jobs_.rbegin(); entry != jobs_.rend(); ++entry) {
      if (!entry->open || keep-- > 0) continue;
      entry->open = false;
      to_close.push_back(entry->job->Status(SteadyNow()));
    }
  }
  for (const v1::JobStatus& job : to_close) {
    // They may be gone.
    const ParameterServers servers({job.servers().begin(), job.servers().end()}, &options_.cluster->Channels(),
                                   &stopper_);
    const absl::Status closed = servers.CloseJob(job.job_id(), options_.epoch, options_.cluster->NextOpening());
    if (!closed.ok()) LogWarning(absl::StrCat("job ", job.job_id(), ": could not be closed: ", closed.message()));
  }
  return static_cast<int>(to_close.size());
}

JobQueue::Entry* JobQueue::FindLocked(const std::string& job_id) {
  for (Entry& entry : jobs_) {
    if (entry.job->id() == job_id) return &entry;
  }
  return nullptr;
}

JobQueue::Entry* JobQueue::EntryOfLocked(uint64_t number) {
  const auto found =
      std::find_if(jobs_.begin(), jobs_.end(), [number](const Entry& entry) { return entry.job->number() == number; });
  return found == jobs_.end() ? nullptr : &*found;
}

}  // namespace samovar
