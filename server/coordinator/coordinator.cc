#include "server/coordinator/coordinator.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/telemetry/log.h"
#include "server/coordinator/epoch_file.h"
#include "server/coordinator/job_runner.h"
#include "server/coordinator/parameter_servers.h"

namespace samovar {
namespace {

constexpr absl::Duration kExpiryTick = absl::Milliseconds(250);
constexpr absl::Duration kQueueTick = absl::Milliseconds(50);
// A watcher looks at whether it was cancelled this often.
constexpr absl::Duration kWatchTick = absl::Milliseconds(200);
// A worker without work asks again after this long; with no job at all, there is no haste.
constexpr absl::Duration kRetryInJob = absl::Milliseconds(20);
constexpr absl::Duration kRetryIdle = absl::Milliseconds(200);

// So that no worker of an earlier epoch is taken for one of this.
constexpr uint64_t kWorkerIdsPerEpoch = 1'000'000;

absl::Status UnknownWorker(uint64_t worker) {
  return absl::NotFoundError(absl::StrCat("worker ", worker, " is not known here (any more); it should join again"));
}

absl::Status UnknownJob(const std::string& job_id) {
  return absl::NotFoundError(absl::StrCat("there is no job \"", job_id.substr(0, 128), "\""));
}

uint64_t NewRun() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

// The servers of an ended job forget its chunks, frozen ones included. They may be gone.
void CloseAtServers(const Job& job, const Stopper& stopper) {
  const v1::JobStatus status = job.Status(SteadyNow());
  if (status.servers_size() == 0) return;
  const ParameterServers servers({status.servers().begin(), status.servers().end()}, &stopper);
  const absl::Status closed = servers.CloseJob(job.id(), status.epoch());
  if (!closed.ok()) LogWarning(absl::StrCat("job ", job.id(), ": could not be closed: ", closed.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Create(const Options& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t epoch, NextEpoch(absl::StrCat(options.state_dir, "/coordinator")));
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator(options, epoch));
  coordinator->runner_ = std::thread([self = coordinator.get()] { self->RunJobs(); });
  coordinator->expirer_ = std::thread([self = coordinator.get()] { self->GiveUpSilent(); });
  return coordinator;
}

Coordinator::Coordinator(const Options& options, uint64_t epoch)
    : options_(options), epoch_(epoch), started_(SteadyNow()), members_((epoch - 1) * kWorkerIdsPerEpoch + 1) {}

void Coordinator::SetAddress(const std::string& address) {
  absl::MutexLock lock(&mu_);
  address_ = address;
}

Coordinator::~Coordinator() { Stop(); }

void Coordinator::Stop() {
  stopper_.Stop();
  if (runner_.joinable()) runner_.join();
  if (expirer_.joinable()) expirer_.join();
}

std::shared_ptr<Job> Coordinator::CurrentLocked() const {
  for (const std::shared_ptr<Job>& job : jobs_) {
    if (!job->ended()) return job;
  }
  return nullptr;
}

std::shared_ptr<Job> Coordinator::FindLocked(const std::string& job_id) const {
  for (const std::shared_ptr<Job>& job : jobs_) {
    if (job->id() == job_id) return job;
  }
  return nullptr;
}

absl::StatusOr<std::shared_ptr<Job>> Coordinator::Find(const std::string& job_id) const {
  absl::MutexLock lock(&mu_);
  std::shared_ptr<Job> job = FindLocked(job_id);
  if (job == nullptr) return UnknownJob(job_id);
  return job;
}

void Coordinator::RunJobs() {
  const ClusterView cluster{[this] {
                              absl::MutexLock lock(&mu_);
                              return members_.servers();
                            },
                            [this] {
                              absl::MutexLock lock(&mu_);
                              return static_cast<uint64_t>(members_.workers().size());
                            },
                            options_.server_patience};
  // The last job stays open at its servers until the next one begins, so that its final weights can be read.
  std::shared_ptr<Job> last;
  while (!stopper_.stopped()) {
    std::shared_ptr<Job> job;
    {
      absl::MutexLock lock(&mu_);
      job = CurrentLocked();
    }
    if (job == nullptr) {
      stopper_.WaitFor(kQueueTick);
      continue;
    }
    if (last != nullptr) CloseAtServers(*last, stopper_);
    RunJob(job.get(), epoch_, cluster, stopper_);
    last = job;
  }
  absl::MutexLock lock(&mu_);
  for (const std::shared_ptr<Job>& job : jobs_) job->End(v1::JOB_STATE_CANCELLED, "the coordinator was stopped", SteadyNow());
}

void Coordinator::GiveUpSilent() {
  while (!stopper_.WaitFor(kExpiryTick)) {
    absl::MutexLock lock(&mu_);
    const absl::Time now = SteadyNow();
    for (const Membership::Worker& worker : members_.ExpireWorkers(now)) {
      LogWarning(absl::StrCat("worker ", worker.description.name(), " (", worker.id, ") has been silent for ",
                              absl::ToInt64Seconds(now - worker.heard), " s: its leases go to others"));
      for (const std::shared_ptr<Job>& job : jobs_) job->ReleaseWorker(worker.id);
    }
    if (const std::shared_ptr<Job> job = CurrentLocked()) job->Expire(now);
  }
}

absl::StatusOr<v1::RegisterServerResponse> Coordinator::RegisterServer(const v1::RegisterServerRequest& request) {
  absl::MutexLock lock(&mu_);
  const bool known = members_.FindServer(request.address()) != nullptr;
  SAMOVAR_RETURN_IF_ERROR(members_.RegisterServer(request, SteadyNow()));
  if (!known) LogInfo(absl::StrCat("server ", request.address(), " has registered"));
  v1::RegisterServerResponse response;
  response.set_epoch(epoch_);
  response.set_renew_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(Membership::kServerRenewal)));
  return response;
}

v1::JoinResponse Coordinator::Join(const v1::JoinRequest& request) {
  absl::MutexLock lock(&mu_);
  v1::JoinResponse response;
  response.set_worker_id(members_.Join(request, SteadyNow()));
  response.set_epoch(epoch_);
  response.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(Membership::kHeartbeat)));
  LogInfo(absl::StrCat("worker ", request.name(), " has joined as ", response.worker_id()));
  return response;
}

absl::Status Coordinator::HearLocked(uint64_t worker, const v1::WorkerReport& report, absl::Time now) {
  Membership::Worker* member = members_.Touch(worker, now);
  if (member == nullptr) return UnknownWorker(worker);
  if (const std::shared_ptr<Job> job = CurrentLocked()) {
    for (const v1::WorkFailure& failure : report.failures()) {
      LogWarning(absl::StrCat("worker ", member->description.name(), ", job ", failure.job_id(), ": ", failure.message()));
    }
    member->iterations_done += job->Report(worker, member->description.name(), report, now);
    job->Renew(worker, now);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::HeartbeatResponse> Coordinator::Heartbeat(const v1::HeartbeatRequest& request) {
  absl::MutexLock lock(&mu_);
  SAMOVAR_RETURN_IF_ERROR(HearLocked(request.worker_id(), request.report(), SteadyNow()));
  v1::HeartbeatResponse response;
  for (const std::shared_ptr<Job>& job : jobs_) {
    for (uint64_t lease : job->TakeRevoked(request.worker_id())) response.add_revoked_leases(lease);
  }
  const std::shared_ptr<Job> current = CurrentLocked();
  for (uint64_t lease : request.leases()) {
    if (current == nullptr || !current->Holds(request.worker_id(), lease)) response.add_revoked_leases(lease);
  }
  return response;
}

absl::StatusOr<v1::LeaseResponse> Coordinator::Lease(const v1::LeaseRequest& request) {
  absl::MutexLock lock(&mu_);
  const absl::Time now = SteadyNow();
  SAMOVAR_RETURN_IF_ERROR(HearLocked(request.worker_id(), request.report(), now));
  v1::LeaseResponse response;
  const std::shared_ptr<Job> job = CurrentLocked();
  if (job != nullptr) {
    if (auto lease = job->Lease(request.worker_id(), members_.workers().size(), now)) {
      *response.mutable_lease() = std::move(*lease);
      return response;
    }
  }
  const absl::Duration retry = job != nullptr ? kRetryInJob : kRetryIdle;
  response.set_retry_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(retry)));
  return response;
}

absl::StatusOr<v1::GetAssignmentResponse> Coordinator::GetAssignment(const v1::GetAssignmentRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, Find(request.job_id()));
  std::optional<v1::GetAssignmentResponse> assignment = job->Assignment();
  if (!assignment.has_value()) return absl::NotFoundError(absl::StrCat("job \"", job->id(), "\" is not running"));
  return *std::move(assignment);
}

void Coordinator::Leave(const v1::LeaveRequest& request) {
  absl::MutexLock lock(&mu_);
  if (!HearLocked(request.worker_id(), request.report(), SteadyNow()).ok()) return;
  LogInfo(absl::StrCat("worker ", request.worker_id(), " has left"));
  for (const std::shared_ptr<Job>& job : jobs_) job->ReleaseWorker(request.worker_id());
  members_.Leave(request.worker_id());
}

void Coordinator::ForgetOldJobsLocked() {
  size_t ended = static_cast<size_t>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const std::shared_ptr<Job>& job) { return job->ended(); }));
  for (auto job = jobs_.begin(); job != jobs_.end() && ended > kMaxEndedJobs;) {
    if ((*job)->ended()) {
      job = jobs_.erase(job);
      --ended;
    } else {
      ++job;
    }
  }
}

absl::StatusOr<std::string> Coordinator::Submit(v1::JobSpec spec) {
  absl::MutexLock lock(&mu_);
  if (spec.job_id().empty()) spec.set_job_id(absl::StrCat("job-", epoch_, "-", submissions_ + 1));
  SAMOVAR_RETURN_IF_ERROR(CheckJobSpec(spec));
  const std::string id = spec.job_id();
  if (const std::shared_ptr<Job> other = FindLocked(id)) {
    if (!other->ended()) {
      return absl::AlreadyExistsError(absl::StrCat("a job \"", id, "\" has not ended; choose another id, or cancel that one"));
    }
    jobs_.erase(std::find(jobs_.begin(), jobs_.end(), other));
  }
  ForgetOldJobsLocked();
  if (jobs_.size() >= kMaxEndedJobs + kMaxQueuedJobs) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxQueuedJobs, " jobs are waiting; submit again later"));
  }
  ++submissions_;
  spec.set_run(NewRun());
  auto job = std::make_shared<Job>(std::move(spec));
  if (CurrentLocked() != nullptr) job->SetCause("waits for the jobs that were submitted before it");
  jobs_.push_back(std::move(job));
  LogInfo(absl::StrCat("job ", id, ": submitted"));
  return id;
}

v1::JobStatus Coordinator::StatusOfLocked(const Job& job, absl::Time now) const {
  v1::JobStatus status = job.Status(now);
  if (status.state() == v1::JOB_STATE_RUNNING && status.cause().empty() && members_.workers().empty()) {
    status.set_cause("waits for a worker: none has joined, or all have gone");
  }
  return status;
}

absl::StatusOr<v1::JobStatus> Coordinator::Get(const std::string& job_id) const {
  absl::MutexLock lock(&mu_);
  const std::shared_ptr<Job> job = FindLocked(job_id);
  if (job == nullptr) return UnknownJob(job_id);
  return StatusOfLocked(*job, SteadyNow());
}

std::vector<v1::JobStatus> Coordinator::List() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::JobStatus> result;
  for (const std::shared_ptr<Job>& job : jobs_) result.push_back(StatusOfLocked(*job, SteadyNow()));
  return result;
}

absl::Status Coordinator::Cancel(const std::string& job_id, const std::string& reason) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, Find(job_id));
  const std::string cause = reason.empty() ? "cancelled by a user" : reason.substr(0, 1024);
  job->End(v1::JOB_STATE_CANCELLED, cause, SteadyNow());
  LogInfo(absl::StrCat("job ", job_id, ": ", cause));
  return absl::OkStatus();
}

absl::Status Coordinator::Watch(const std::string& job_id, absl::Duration interval,
                                absl::FunctionRef<bool(const v1::JobStatus&)> send, absl::FunctionRef<bool()> cancelled) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, Find(job_id));
  uint64_t seen = 0;
  std::string seen_cause;
  while (!cancelled()) {
    const bool stopping = stopper_.stopped();
    const uint64_t version = job->AwaitChange(seen, seen == 0 ? absl::ZeroDuration() : kWatchTick);
    v1::JobStatus status;
    {
      absl::MutexLock lock(&mu_);
      status = StatusOfLocked(*job, SteadyNow());
    }
    const bool ended = status.state() != v1::JOB_STATE_QUEUED && status.state() != v1::JOB_STATE_RUNNING;
    if (version != seen || status.cause() != seen_cause || ended) {
      seen = version;
      seen_cause = status.cause();
      if (!send(status) || ended) return absl::OkStatus();
      // The end of a job is not held back by the interval.
      const absl::Time until = SteadyNow() + interval;
      while (SteadyNow() < until && !cancelled() && !job->ended() && !stopper_.stopped()) {
        stopper_.WaitFor(std::min(kQueueTick, until - SteadyNow()));
      }
    }
    if (stopping) return absl::UnavailableError("the coordinator is stopping");
  }
  return absl::CancelledError("the watcher has gone");
}

v1::ClusterStatus Coordinator::Status() const {
  absl::MutexLock lock(&mu_);
  const absl::Time now = SteadyNow();
  v1::ClusterStatus status;
  status.set_version(Version());
  status.set_coordinator(address_);
  status.set_epoch(epoch_);
  status.set_uptime_seconds(absl::ToDoubleSeconds(now - started_));
  for (const Membership::Server& server : members_.servers()) {
    v1::ServerStatus* entry = status.add_servers();
    entry->set_address(server.registration.address());
    entry->set_apply_threads(server.registration.apply_threads());
    entry->set_pid(server.registration.pid());
    entry->set_silent_seconds(absl::ToDoubleSeconds(now - server.heard));
  }
  const std::shared_ptr<Job> current = CurrentLocked();
  for (const auto& [id, worker] : members_.workers()) {
    v1::WorkerStatus* entry = status.add_workers();
    entry->set_worker_id(id);
    entry->set_name(worker.description.name());
    entry->set_pid(worker.description.pid());
    entry->set_threads(worker.description.threads());
    entry->set_isa(worker.description.isa());
    entry->set_silent_seconds(absl::ToDoubleSeconds(now - worker.heard));
    entry->set_iterations_done(worker.iterations_done);
    if (current == nullptr) continue;
    for (std::string& name : current->LeaseNames(id)) entry->add_leases(std::move(name));
  }
  for (auto job = jobs_.rbegin(); job != jobs_.rend(); ++job) *status.add_jobs() = StatusOfLocked(**job, now);
  return status;
}

}  // namespace samovar
