// The calls of users: Submit, Cancel, Forget and those that look jobs up.
#include <algorithm>
#include <random>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"
#include "common/model/job_data.h"
#include "common/model/job_name.h"
#include "common/model/job_spec_before.h"
#include "common/telemetry/log.h"
#include "server/cluster/parameter_servers.h"
#include "server/jobs/job_exports.h"
#include "server/jobs/job_queue.h"
#include "server/jobs/job_spec.h"

namespace samovar {
namespace {

// More places of jobs that one goes on from are not looked into.
constexpr int kMaxFormerExports = 8;

// Tells the snapshots of one submission from those of others of the same name. Not 0.
uint64_t NewRun() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

}  // namespace

void JobQueue::ForgetLocked(std::deque<Entry>::iterator entry, DeferredLog* log) {
  forgotten_.push_back({entry->job->number(), entry->job->id()});
  ForgetExportsLocked(entry->job->spec());
  log->Info(absl::StrCat("job ", entry->job->id(), ": forgotten"));
  jobs_.erase(entry);
}

void JobQueue::ForgetExportsLocked(const v1::JobSpec& spec) {
  if (spec.cluster_exports()) forgotten_.push_back({++last_number_, "", spec.export_snapshots()});
}

std::string JobQueue::ExportsOf(const std::string& job_id, uint64_t run) const {
  return absl::StrCat(options_.snapshots, "/", job_id, "-", absl::Hex(run, absl::kZeroPad16));
}

void JobQueue::ChooseExports(const v1::JobSpec* earlier, v1::JobSpec* spec) const {
  // A directory that a client names is never removed.
  spec->clear_cluster_exports();
  spec->clear_former_exports();
  if (spec->resume() && earlier != nullptr && earlier->cluster_exports() &&
      (spec->export_snapshots().empty() || spec->export_snapshots() == earlier->export_snapshots())) {
    spec->set_export_snapshots(earlier->export_snapshots());
    spec->set_cluster_exports(true);
  } else if (spec->export_snapshots().empty() && !options_.snapshots.empty()) {
    spec->set_export_snapshots(ExportsOf(spec->job_id(), spec->run()));
    spec->set_cluster_exports(true);
  }
  if (!spec->resume() || earlier == nullptr) return;
  for (const std::string& place : ExportPlaces(*earlier)) {
    if (place != spec->export_snapshots() && spec->former_exports_size() < kMaxFormerExports)
      spec->add_former_exports(place);
  }
}

void JobQueue::ForgetOldLocked(std::optional<uint64_t> kept, DeferredLog* log) {
  // By when they ended: a long job that has just ended is not old.
  std::vector<std::tuple<absl::Time, uint64_t, uint64_t>> ended;
  for (const Entry& entry : jobs_) {
    if (entry.job->ended() && !entry.at_runner && entry.job->number() != kept) {
      const auto [at, unix_ms] = entry.job->EndTimes();
      ended.emplace_back(at, unix_ms, entry.job->number());
    }
  }
  const auto bound = static_cast<size_t>(options_.max_ended);
  if (ended.size() <= bound) return;
  std::sort(ended.begin(), ended.end());
  for (size_t i = 0; i + bound < ended.size(); ++i) {
    ForgetLocked(std::find_if(jobs_.begin(), jobs_.end(),
                              [&](const Entry& entry) { return entry.job->number() == std::get<2>(ended[i]); }),
                 log);
  }
}

absl::StatusOr<std::set<uint64_t>> JobQueue::RunsLeftBehind(const std::string& job_id) const {
  const absl::Status unknown = Find(job_id).status();
  SAMOVAR_RETURN_IF_ERROR(CheckJobName(job_id));
  const ParameterServers servers(AddressesOf(LiveServers(*options_.cluster)), &options_.cluster->Channels(), &stopper_);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::ListSnapshotsResponse> lists, servers.ListSnapshots(job_id));
  std::set<uint64_t> runs;
  for (const v1::ListSnapshotsResponse& list : lists) {
    for (const v1::SnapshotInfo& info : list.snapshots()) runs.insert(info.run());
    if (list.has_last_share()) runs.insert(list.last_share().run());
  }
  if (runs.empty()) return unknown;
  return runs;
}

absl::Status JobQueue::Forget(const std::string& job_id) {
  std::set<uint64_t> runs;
  if (!Find(job_id).ok()) {
    SAMOVAR_ASSIGN_OR_RETURN(runs, RunsLeftBehind(job_id));
  }
  DeferredLog log;
  absl::MutexLock saving(&saving_mu_);
  {
    absl::MutexLock lock(&mu_);
    const auto entry =
        std::find_if(jobs_.begin(), jobs_.end(), [&](const Entry& entry) { return entry.job->id() == job_id; });
    if (entry == jobs_.end()) {
      forgotten_.push_back({++last_number_, job_id});
      // Where this coordinator, or an earlier one whose jobs are not known here, had them exported.
      for (const uint64_t run : runs) {
        if (!options_.snapshots.empty()) forgotten_.push_back({++last_number_, "", ExportsOf(job_id, run)});
      }
    } else if (!entry->job->ended() || entry->at_runner) {
      return absl::FailedPreconditionError(absl::StrCat(
          "job \"", job_id, "\" ",
          entry->job->ended() ? "is just ending; ask again in a moment" : "has not ended; cancel it first"));
    } else {
      ForgetLocked(entry, &log);
    }
  }
  const absl::Status saved = SaveHeld();
  if (saved.ok()) return saved;
  return absl::UnavailableError(absl::StrCat("job \"", job_id,
                                             "\" is forgotten, but the coordinator cannot write that down yet; its "
                                             "snapshots are removed when it can: ",
                                             saved.message()));
}

absl::StatusOr<std::string> JobQueue::Submit(v1::JobSpec spec) {
  DeferredLog log;
  AdoptConsistencyBefore(&spec);
  const bool begins_anew = !spec.resume() && spec.initial_model().exported_snapshot().empty();
  if (begins_anew && spec.consistency().mode() == v1::CONSISTENCY_SYNC)
    spec.mutable_consistency()->set_part_sum_order(v1::PART_SUM_ORDER_TREE);
  absl::MutexLock saving(&saving_mu_);
  SaveHeld().IgnoreError();
  JobTable::Entry stored;
  std::optional<uint64_t> replaced;
  v1::JobSpec earlier;
  v1::JobStatus earlier_status;
  std::vector<std::string> other_data;
  {
    absl::MutexLock lock(&mu_);
    if (spec.job_id().empty()) spec.set_job_id(absl::StrCat("job-", options_.epoch, "-", last_number_ + 1));
    SAMOVAR_RETURN_IF_ERROR(CheckNewJobName(spec.job_id()));
    SAMOVAR_RETURN_IF_ERROR(CheckJobSpec(spec));
    if (const Entry* other = FindLocked(spec.job_id())) {
      if (!other->job->ended()) {
        return absl::AlreadyExistsError(
            absl::StrCat("a job \"", spec.job_id(), "\" has not ended; choose another id, or cancel that one"));
      }
      replaced = other->job->number();
      earlier = other->job->spec();
      earlier_status = other->job->Status(SteadyNow());
      if (spec.resume()) other_data = DescribeOtherData(other->job->spec(), spec);
    }
    ForgetOldLocked(replaced, &log);
    if (jobs_.size() >= static_cast<size_t>(options_.max_ended) + kMaxQueuedJobs) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxQueuedJobs, " jobs are waiting; submit again later"));
    }
    stored.number = last_number_ + 1;
  }
  spec.set_run(NewRun());
  const bool is_taken = !options_.snapshots.empty() &&
                        absl::StartsWith(spec.export_snapshots(), absl::StrCat(options_.snapshots, "/")) &&
                        !(spec.resume() && earlier.export_snapshots() == spec.export_snapshots());
  if (is_taken) {
    return absl::InvalidArgumentError(
        absl::StrCat("export_snapshots: ", spec.export_snapshots(), " is in ", options_.snapshots,
                     ", where the coordinator keeps and removes snapshots itself; name another directory, or none"));
  }
  ChooseExports(replaced.has_value() ? &earlier : nullptr, &spec);
  const auto job = std::make_shared<Job>(std::move(spec), stored.number);
  // Damaged records may have been mended before it goes on, so that this is no mistake by itself.
  for (const std::string& other : other_data) job->AddNotice(absl::StrCat("goes on with other data: ", other));
  if (job->spec().resume()) job->RestoreHistory(replaced.has_value() ? HistoryToResume(*replaced) : HistoryBlocks());
  if (job->spec().resume() && replaced.has_value()) job->TakeOverSnapshots(earlier_status);
  stored.spec = job->spec();
  stored.record = job->Record(SteadyNow());
  if (table_ != nullptr) {
    SAMOVAR_RETURN_IF_ERROR(Annotate(table_->Insert(stored, replaced),
                                     "the coordinator cannot write the job down, so that nothing was submitted"));
  }
  // The table has the former job's curve no more: soon it has this one's.
  histories_saved_ = absl::InfinitePast();
  absl::MutexLock lock(&mu_);
  last_number_ = stored.number;
  if (replaced.has_value()) std::erase_if(jobs_, [&](const Entry& entry) { return entry.job->number() == *replaced; });
  // Its snapshots are the new job's to go on with, or to replace.
  std::erase_if(forgotten_, [&](const JobTable::Forgotten& other) { return other.job_id == job->id(); });
  cleaner_.Keep(job->id());
  if (earlier.export_snapshots() != job->spec().export_snapshots()) ForgetExportsLocked(earlier);
  Entry entry;
  entry.job = job;
  entry.saved_event = job->newest_event();
  jobs_.push_back(std::move(entry));
  log.Info(absl::StrCat("job ", job->id(), ": submitted"));
  woken_ = true;
  wake_.NotifyAll();
  return job->id();
}

absl::Status JobQueue::Cancel(const std::string& job_id, const std::string& cause) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, Find(job_id));
  job->End(v1::JOB_STATE_CANCELLED, cause, SteadyNow());
  LogInfo(absl::StrCat("job ", job_id, ": ", cause));
  return Annotate(Save(), absl::StrCat("job \"", job_id,
                                       "\" is cancelled, but the coordinator cannot write that down yet, and would "
                                       "take the job up again if it were started anew"));
}

absl::StatusOr<std::shared_ptr<Job>> JobQueue::Find(const std::string& job_id) const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> ids;
  for (const Entry& entry : jobs_) {
    if (entry.job->id() == job_id) return entry.job;
    ids.push_back(entry.job->id());
  }
  const std::string name = job_id.substr(0, 128);
  return absl::NotFoundError(absl::StrCat("there is no job \"", name, "\"", DidYouMean(name, ids)));
}

absl::StatusOr<std::vector<v1::HistoryBlock>> JobQueue::History(const std::string& job_id) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, Find(job_id));
  std::optional<std::vector<v1::HistoryBlock>> held = job->History();
  if (held.has_value()) return *std::move(held);
  SAMOVAR_ASSIGN_OR_RETURN(HistoryBlocks blocks, table_->LoadHistory(job->number()));
  return InOrder(std::move(blocks), HistoryOutputs(job->spec()));
}

std::vector<std::shared_ptr<Job>> JobQueue::All() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Job>> jobs;
  for (const Entry& entry : jobs_) jobs.push_back(entry.job);
  return jobs;
}

std::vector<std::shared_ptr<Job>> JobQueue::Running() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Job>> jobs;
  for (const Entry& entry : jobs_) {
    if (entry.at_runner && entry.job->running()) jobs.push_back(entry.job);
  }
  return jobs;
}

}  // namespace samovar
