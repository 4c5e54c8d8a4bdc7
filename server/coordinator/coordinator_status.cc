// The part of Coordinator that tells and changes nothing: the status of the cluster, watched jobs, curves.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "server/cluster/member_status.h"
#include "server/cluster/problems.h"
#include "server/coordinator/coordinator.h"

namespace samovar {
namespace {

constexpr absl::Duration kIntervalTick = absl::Milliseconds(50);
// A watcher looks at whether it was cancelled this often.
constexpr absl::Duration kWatchTick = absl::Milliseconds(200);
// Its figures have ages, and it must hear that the coordinator lives: it is sent a status so often, if nothing else.
constexpr absl::Duration kWatchNews = absl::Seconds(1);

}  // namespace

absl::Status Coordinator::Watch(const std::string& job_id, absl::Duration interval,
                                std::optional<uint64_t> first_display,
                                absl::FunctionRef<bool(const v1::JobStatus&)> send,
                                absl::FunctionRef<bool()> cancelled) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(job_id));
  uint64_t seen = 0;
  std::string seen_cause;
  absl::Time sent = absl::InfinitePast();
  while (!cancelled()) {
    const bool stopping = stopper_.stopped();
    const uint64_t version = job->AwaitChange(seen, seen == 0 ? absl::ZeroDuration() : kWatchTick);
    v1::JobStatus status;
    {
      absl::MutexLock lock(&mu_);
      status = StatusOfLocked(*job, SteadyNow());
    }
    status.set_queue_position(PositionOf(*job));
    const bool ended = status.state() != v1::JOB_STATE_QUEUED && status.state() != v1::JOB_STATE_RUNNING;
    if (version != seen || status.cause() != seen_cause || ended || SteadyNow() - sent >= kWatchNews) {
      seen = version;
      sent = SteadyNow();
      seen_cause = status.cause();
      if (first_display.has_value()) {
        for (v1::DisplayLine& line : job->DisplaysFrom(*first_display)) {
          first_display = line.iteration() + 1;
          *status.add_displays() = std::move(line);
        }
      }
      if (!send(status) || ended) return absl::OkStatus();
      // The end of a job is not held back by the interval.
      const absl::Time until = SteadyNow() + interval;
      while (SteadyNow() < until && !cancelled() && !job->ended() && !stopper_.stopped()) {
        stopper_.WaitFor(std::min(kIntervalTick, until - SteadyNow()));
      }
    }
    if (stopping) return absl::UnavailableError("the coordinator is stopping");
  }
  return absl::CancelledError("the watcher has gone");
}

absl::Status Coordinator::History(const v1::GetHistoryRequest& request,
                                  absl::FunctionRef<bool(const v1::HistoryBlock&)> send) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(request.job_id()));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<v1::HistoryBlock> curve, queue_->History(request.job_id()));
  for (v1::HistoryBlock& block : SelectPoints(curve, request.first_iteration(), request.max_points())) {
    if (!block.outputs().empty()) {
      for (const v1::OutputSpec& output : job->spec().train_outputs().outputs()) block.add_output_names(output.name());
    }
    if (!send(block)) return absl::CancelledError("the reader has gone");
  }
  return absl::OkStatus();
}

std::string Coordinator::IdleReasonLocked(const std::vector<v1::JobStatus>& running) const {
  if (running.empty()) return "no job is running";
  for (const v1::JobStatus& job : running) {
    if (!job.cause().empty()) return absl::StrCat("job ", job.job_id(), ": ", job.cause());
  }
  return "other workers have all the work that there is at this moment";
}

v1::ClusterStatus Coordinator::Status() const {
  absl::MutexLock lock(&mu_);
  const StatusTime time = {SteadyNow(), absl::Now()};
  v1::ClusterStatus status;
  status.set_version(Version());
  status.set_coordinator(address_);
  status.set_epoch(epoch_);
  status.set_uptime_seconds(absl::ToDoubleSeconds(time.now - started_));
  status.set_unix_ms(time.UnixMs(time.now));
  std::vector<v1::JobStatus> running;
  std::vector<v1::JobStatus> jobs = StatusesLocked(time.now);
  std::reverse(jobs.begin(), jobs.end());
  for (v1::JobStatus& job : jobs) {
    if (job.state() == v1::JOB_STATE_RUNNING) running.push_back(job);
    *status.add_jobs() = std::move(job);
  }
  for (const Membership::Server& server : members_.servers()) *status.add_servers() = StatusOf(server, time);
  const std::string idle_reason = IdleReasonLocked(running);
  std::map<uint64_t, std::vector<std::string>> leases;
  for (const std::shared_ptr<Job>& job : queue_->Running()) {
    for (const auto& [worker, names] : job->LeaseNames()) {
      for (const std::string& name : names) leases[worker].push_back(absl::StrCat(job->id(), ": ", name));
    }
  }
  std::map<uint64_t, uint64_t> job_of;
  for (const auto& [id, worker] : members_.workers()) {
    v1::WorkerStatus* const entry = status.add_workers();
    *entry = StatusOf(worker, idle_reason, time);
    for (std::string& name : leases[id]) entry->add_leases(std::move(name));
    if (const std::optional<uint64_t> job = shares_.JobOf(id)) job_of[id] = *job;
  }
  FindStragglers(job_of, &status);
  for (const Membership::Lost& lost : members_.lost()) *status.add_lost() = StatusOf(lost, time);
  for (std::string& problem : ProblemsOf(status)) status.add_problems(std::move(problem));
  return status;
}

}  // namespace samovar
