#include "server/coordinator/coordinator.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/model/epochs.h"
#include "common/storage/paths.h"
#include "common/telemetry/deferred_log.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"
#include "server/coordinator/epoch_file.h"
#include "server/jobs/home_job_table.h"
#include "server/jobs/lmdb_job_table.h"
#include "server/jobs/snapshot_exporter.h"

namespace samovar {
namespace {

constexpr absl::Duration kExpiryTick = absl::Milliseconds(250);
// Whether another coordinator has claimed the home is looked at this often.
constexpr absl::Duration kHomeTick = absl::Seconds(1);
// A reader of logs looks at whether it was cancelled this often.
constexpr absl::Duration kReaderTick = absl::Milliseconds(200);
// A worker without work asks again after this long; with no job at all, there is no haste.
constexpr absl::Duration kRetryInJob = absl::Milliseconds(20);
constexpr absl::Duration kRetryIdle = absl::Milliseconds(200);

// So that no worker of an earlier epoch is taken for one of this.
constexpr uint64_t kWorkerIdsPerEpoch = 1'000'000;

absl::Status UnknownWorker(uint64_t worker) {
  return absl::NotFoundError(absl::StrCat("worker ", worker, " is not known here (any more); it should join again"));
}

absl::Status Remove(const std::string& directory) {
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  return error ? absl::ErrnoToStatus(error.value(), absl::StrCat("cannot remove ", directory)) : absl::OkStatus();
}

// Whether something in the report is about the job.
bool Mentions(const v1::WorkerReport& report, const std::string& job_id) {
  const auto names = [&job_id](const auto& entry) { return entry.job_id() == job_id; };
  return std::any_of(report.train().begin(), report.train().end(), names) ||
         std::any_of(report.test().begin(), report.test().end(), names) ||
         std::any_of(report.failures().begin(), report.failures().end(), names);
}

// The table of the cluster's home, if it has one, or that of this machine.
absl::StatusOr<std::unique_ptr<JobTable>> OpenJobTable(const Coordinator::Options& options,
                                                       const std::optional<ClusterHome>& home, uint64_t epoch) {
  const std::string directory = absl::StrCat(options.state_dir, "/coordinator/jobs");
  if (options.forget_jobs) SAMOVAR_RETURN_IF_ERROR(Remove(directory));
  std::error_code error;
  std::unique_ptr<JobTable> local;
  // The cluster may have its home from now on.
  if (!home.has_value() || std::filesystem::exists(directory, error)) {
    SAMOVAR_ASSIGN_OR_RETURN(local, LmdbJobTable::Open(directory, epoch));
  }
  if (!home.has_value()) return local;
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<JobTable> table,
                           HomeJobTable::Open(*home, options.storage, epoch, local.get(), options.forget_jobs));
  return table;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Create(const Options& options) {
  const std::string directory = absl::StrCat(options.state_dir, "/coordinator");
  if (!options.snapshots.empty()) {
    const absl::Status writable = options.storage.CheckWritable(absl::StrCat(options.snapshots, "/job/manifest"));
    // A storage that does not answer now may do when it is needed.
    if (!writable.ok() && !absl::IsUnavailable(writable) && !absl::IsDeadlineExceeded(writable))
      return Annotate(writable, "--snapshots");
  }
  std::optional<ClusterHome> home;
  if (!options.home.empty()) home.emplace(options.home, options.storage);
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t epoch, NextEpoch(directory, home.has_value() ? &*home : nullptr));
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<JobTable> table, OpenJobTable(options, home, epoch));
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator(options, epoch));
  if (home.has_value()) coordinator->home_.emplace(*home);
  JobQueue::Options queue;
  queue.max_running = options.max_running;
  queue.max_ended = options.max_ended;
  queue.snapshots = options.snapshots;
  queue.epoch = epoch;
  queue.cluster = coordinator.get();
  queue.storage = options.storage;
  SAMOVAR_ASSIGN_OR_RETURN(coordinator->queue_, JobQueue::Create(queue, std::move(table)));
  coordinator->queue_->Start();
  coordinator->expirer_ = std::thread([self = coordinator.get()] { self->GiveUpSilent(); });
  return coordinator;
}

Coordinator::Coordinator(const Options& options, uint64_t epoch)
    : options_(options),
      epoch_(epoch),
      started_(SteadyNow()),
      channels_(Dialer(options.rpc)),
      members_((epoch - 1) * kWorkerIdsPerEpoch + 1) {}

std::vector<Membership::Server> Coordinator::Servers() const {
  absl::MutexLock lock(&mu_);
  return members_.servers();
}

uint64_t Coordinator::Workers() const {
  absl::MutexLock lock(&mu_);
  return members_.workers().size();
}

uint64_t Coordinator::NextOpening() {
  return (epoch_ << kOpeningBits) + openings_.fetch_add(1, std::memory_order_relaxed) + 1;
}

absl::Status Coordinator::SetAddress(const std::string& address) {
  {
    absl::MutexLock lock(&mu_);
    address_ = address;
  }
  if (!home_.has_value()) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(home_->Announce(epoch_, address));
  home_watch_ = std::thread([this] { WatchHome(); });
  return absl::OkStatus();
}

void Coordinator::WatchHome() {
  bool replaced = false;
  const auto look = [&] {
    const absl::StatusOr<uint64_t> newest = home_->Epoch();
    if (newest.ok() && *newest > epoch_) {
      LogError(absl::StrCat("another coordinator, of epoch ", *newest, ", has claimed ", home_->uri(),
                            "; this one, of epoch ", epoch_, ", ends"));
      replaced = true;
    }
  };
  while (!replaced && !stopper_.WaitFor(kHomeTick)) RunTurn("the watch over the home", look);
  if (replaced && options_.on_replaced) options_.on_replaced();
}

Coordinator::~Coordinator() { Stop(); }

void Coordinator::Stop() {
  stopper_.Stop();
  if (queue_ != nullptr) queue_->Stop();
  if (expirer_.joinable()) expirer_.join();
  if (home_watch_.joinable()) home_watch_.join();
  channels_.Clear();
}

void Coordinator::GiveUpSilent() {
  while (!stopper_.WaitFor(kExpiryTick)) {
    RunTurn("the watch over workers", [this] {
      DeferredLog log;
      absl::MutexLock lock(&mu_);
      const absl::Time now = SteadyNow();
      GiveUpSilentLocked(now, &log);
      const auto name_of = [this](uint64_t worker) ABSL_NO_THREAD_SAFETY_ANALYSIS { return NameOfLocked(worker); };
      for (const std::shared_ptr<Job>& job : queue_->Running()) job->Expire(now, name_of);
    });
  }
}

void Coordinator::GiveUpSilentLocked(absl::Time now, DeferredLog* log) {
  for (const Membership::Worker& worker : members_.ExpireWorkers(now)) {
    const std::string name = absl::StrCat("worker ", worker.description.name(), " (", worker.id, ")");
    const int64_t silent = absl::ToInt64Seconds(now - worker.heard);
    const std::string news = worker.replaced ? absl::StrCat(name, " was started again")
                                             : absl::StrCat(name, " has been silent for ", silent, " s");
    log->Warning(absl::StrCat(news, ": its leases go to others"));
    const std::string reason =
        worker.replaced ? "was started again" : absl::StrCat("has been silent for ", silent, " s");
    members_.NoteLost(name, worker.description.host(), reason, now);
    logs_.NoteLost(worker.id, reason);
    for (const std::shared_ptr<Job>& job : queue_->All()) job->ReleaseWorker(worker.id, news);
    shares_.Leave(worker.id, now);
  }
}

absl::StatusOr<v1::RegisterServerResponse> Coordinator::RegisterServer(const v1::RegisterServerRequest& request) {
  DeferredLog log;
  absl::MutexLock lock(&mu_);
  const absl::Time now = SteadyNow();
  const Membership::Server* const before = members_.FindServer(request.address());
  const bool known = before != nullptr;
  const bool awaited = !known || now - before->heard > Membership::kServerTimeout ||
                       before->registration.incarnation() != request.incarnation();
  v1::RegisterServerRequest registration = request;
  // These are kept elsewhere.
  registration.clear_log_lines();
  SAMOVAR_RETURN_IF_ERROR(members_.RegisterServer(registration, now));
  logs_.TakeServer(request.address(), request.incarnation(), request.log_lines());
  if (!known) log.Info(absl::StrCat("server ", request.address(), " has registered"));
  if (awaited) queue_->ServersChanged();
  v1::RegisterServerResponse response;
  response.set_epoch(epoch_);
  response.set_renew_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(Membership::kServerRenewal)));
  return response;
}

v1::JoinResponse Coordinator::Join(const v1::JoinRequest& request) {
  DeferredLog log;
  absl::MutexLock lock(&mu_);
  v1::JoinResponse response;
  const absl::Time now = SteadyNow();
  response.set_worker_id(members_.Join(request, now));
  GiveUpSilentLocked(now, &log);
  response.set_epoch(epoch_);
  response.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(Membership::kHeartbeat)));
  log.Info(
      absl::StrCat("worker ", Printable(request.name(), kMaxPeerNameBytes), " has joined as ", response.worker_id()));
  return response;
}

std::string Coordinator::NameOfLocked(uint64_t worker) const {
  const auto member = members_.workers().find(worker);
  return member == members_.workers().end() ? absl::StrCat(worker) : member->second.description.name();
}

absl::Status Coordinator::HearLocked(uint64_t worker, const v1::WorkerReport& report, absl::Time now,
                                     DeferredLog* log) {
  Membership::Worker* member = members_.Touch(worker, now);
  if (member == nullptr) return UnknownWorker(worker);
  // Its leases had the ids that others have now.
  const bool stale = report.epoch() != 0 && report.epoch() != epoch_;
  for (const v1::WorkFailure& failure : report.failures()) {
    const std::string text =
        absl::StrCat("job ", Printable(failure.job_id(), kMaxPeerNameBytes), ": ", Printable(failure.message()));
    log->Warning(absl::StrCat("worker ", member->description.name(), ", ", text));
    // Where the job was ended meanwhile, nothing is wrong.
    const std::vector<std::shared_ptr<Job>> running = queue_->Running();
    if (std::none_of(running.begin(), running.end(),
                     [&](const std::shared_ptr<Job>& job) { return job->id() == failure.job_id(); })) {
      continue;
    }
    ++member->errors;
    member->last_error = text;
    member->last_error_at = now;
  }
  for (const std::shared_ptr<Job>& job : queue_->Running()) {
    if (!stale && Mentions(report, job->id())) {
      member->iterations_done += job->Report(worker, member->description.name(), report, now);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::HeartbeatResponse> Coordinator::Heartbeat(const v1::HeartbeatRequest& request) {
  DeferredLog log;
  absl::MutexLock lock(&mu_);
  const absl::Time now = SteadyNow();
  SAMOVAR_RETURN_IF_ERROR(HearLocked(request.worker_id(), request.report(), now, &log));
  Membership::Worker* const member = members_.Touch(request.worker_id(), now);
  member->figures.Add(now, request.figures());
  member->wait = request.wait();
  const std::string name = member->description.name();
  logs_.TakeWorker(request.worker_id(), name, request.log_lines());
  for (const std::shared_ptr<Job>& job : queue_->Running()) {
    const bool waits = request.wait().job_id() == job->id();
    job->TakeWait(request.worker_id(), name, waits ? request.wait() : v1::WorkerWait(), now);
  }
  v1::HeartbeatResponse response;
  for (const std::shared_ptr<Job>& job : queue_->All()) {
    for (uint64_t lease : job->TakeRevoked(request.worker_id())) response.add_revoked_leases(lease);
  }
  const std::vector<std::shared_ptr<Job>> running = queue_->Running();
  for (uint64_t lease : request.leases()) {
    for (const std::shared_ptr<Job>& job : running) job->Renew(request.worker_id(), lease, now);
    const bool held = std::any_of(running.begin(), running.end(), [&](const std::shared_ptr<Job>& job) {
      return job->Holds(request.worker_id(), lease);
    });
    if (!held) response.add_revoked_leases(lease);
  }
  return response;
}

std::optional<v1::WorkLease> Coordinator::LeaseLocked(const Membership::Worker& worker, absl::Time now) {
  std::map<uint64_t, std::shared_ptr<Job>> jobs;
  std::map<uint64_t, double> weights;
  for (const std::shared_ptr<Job>& job : queue_->Running()) {
    jobs[job->number()] = job;
    weights[job->number()] = job->weight();
  }
  shares_.SetJobs(weights);
  const std::optional<uint64_t> before = shares_.JobOf(worker.id);
  for (uint64_t number : shares_.Offers(worker.id, now)) {
    // With others to work for, not all workers are this job's.
    const uint64_t workers = jobs.size() == 1 ? members_.workers().size() : shares_.WorkersOf(number) + 1;
    std::optional<v1::WorkLease> lease = jobs.at(number)->Lease(worker.id, workers, now);
    if (!lease.has_value()) continue;
    if (before.has_value() && *before != number) jobs.at(*before)->WorkerWentOver(worker.id);
    shares_.Took(worker.id, number, std::max(1u, worker.description.threads()), now);
    return lease;
  }
  return std::nullopt;
}

absl::StatusOr<v1::LeaseResponse> Coordinator::Lease(const v1::LeaseRequest& request) {
  DeferredLog log;
  absl::MutexLock lock(&mu_);
  const absl::Time now = SteadyNow();
  SAMOVAR_RETURN_IF_ERROR(HearLocked(request.worker_id(), request.report(), now, &log));
  v1::LeaseResponse response;
  if (std::optional<v1::WorkLease> lease = LeaseLocked(*members_.Touch(request.worker_id(), now), now)) {
    *response.mutable_lease() = *std::move(lease);
    return response;
  }
  const absl::Duration retry = queue_->Running().empty() ? kRetryIdle : kRetryInJob;
  response.set_retry_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(retry)));
  return response;
}

absl::StatusOr<v1::GetAssignmentResponse> Coordinator::GetAssignment(const v1::GetAssignmentRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(request.job_id()));
  std::optional<v1::GetAssignmentResponse> assignment = job->Assignment();
  if (!assignment.has_value()) return absl::NotFoundError(absl::StrCat("job \"", job->id(), "\" is not running"));
  return *std::move(assignment);
}

void Coordinator::Leave(const v1::LeaveRequest& request) {
  DeferredLog log;
  absl::MutexLock lock(&mu_);
  if (!HearLocked(request.worker_id(), request.report(), SteadyNow(), &log).ok()) return;
  const std::string name = absl::StrCat("worker ", NameOfLocked(request.worker_id()), " (", request.worker_id(), ")");
  const std::string news = absl::StrCat(name, " has left");
  log.Info(news);
  for (const std::shared_ptr<Job>& job : queue_->All()) job->ReleaseWorker(request.worker_id(), news);
  shares_.Leave(request.worker_id(), SteadyNow());
  members_.NoteLost(name, members_.workers().at(request.worker_id()).description.host(), Membership::kHasLeft,
                    SteadyNow());
  logs_.NoteLost(request.worker_id(), Membership::kHasLeft);
  members_.Leave(request.worker_id());
}

absl::StatusOr<std::string> Coordinator::Submit(v1::JobSpec spec) {
  SAMOVAR_RETURN_IF_ERROR(CheckExportDirectory(spec, options_.storage));
  return queue_->Submit(std::move(spec));
}

void Coordinator::NoteRefused(const std::string& name, const std::string& host, const absl::Status& refusal) {
  absl::MutexLock lock(&mu_);
  members_.NoteLost(Printable(name, kMaxPeerNameBytes), Printable(host, kMaxPeerNameBytes),
                    absl::StrCat("was refused: ", refusal.message()), SteadyNow());
}

v1::JobStatus Coordinator::StatusOfLocked(const Job& job, absl::Time now) const {
  v1::JobStatus status = job.Status(now);
  if (status.state() == v1::JOB_STATE_RUNNING && status.cause().empty() && members_.workers().empty()) {
    status.set_cause("waits for a worker: none has joined, or all have gone");
  }
  if (status.state() == v1::JOB_STATE_RUNNING)
    status.set_workers(static_cast<uint32_t>(shares_.WorkersOf(job.number())));
  return status;
}

absl::StatusOr<v1::JobStatus> Coordinator::Get(const std::string& job_id) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(job_id));
  absl::MutexLock lock(&mu_);
  v1::JobStatus status = StatusOfLocked(*job, SteadyNow());
  status.set_queue_position(PositionOf(*job));
  return status;
}

std::vector<v1::JobStatus> Coordinator::List() const {
  absl::MutexLock lock(&mu_);
  return StatusesLocked(SteadyNow());
}

std::vector<v1::JobStatus> Coordinator::StatusesLocked(absl::Time now) const {
  std::vector<v1::JobStatus> statuses;
  uint32_t queued = 0;
  for (const std::shared_ptr<Job>& job : queue_->All()) {
    statuses.push_back(StatusOfLocked(*job, now));
    if (statuses.back().state() == v1::JOB_STATE_QUEUED) statuses.back().set_queue_position(++queued);
  }
  return statuses;
}

uint32_t Coordinator::PositionOf(const Job& job) const {
  uint32_t before = 0;
  for (const std::shared_ptr<Job>& other : queue_->All()) {
    if (other.get() == &job) return job.queued() ? before + 1 : 0;
    if (other->queued()) ++before;
  }
  return 0;
}

absl::Status Coordinator::Cancel(const std::string& job_id, const std::string& reason) {
  return queue_->Cancel(job_id, reason.empty() ? "cancelled by a user" : Printable(reason, 1024));
}

absl::Status Coordinator::Forget(const std::string& job_id) { return queue_->Forget(job_id); }

absl::StatusOr<v1::JobSpec> Coordinator::GetSpec(const std::string& job_id) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(job_id));
  return job->spec();
}

absl::StatusOr<uint64_t> Coordinator::Snapshot(const std::string& job_id, const std::string& export_to, bool last) {
  if (!export_to.empty()) {
    if (!IsSamePlaceEverywhere(export_to)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the directory \"", export_to, "\" to export to is no absolute path"));
    }
    SAMOVAR_RETURN_IF_ERROR(options_.storage.StorageFor(export_to).status());
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(job_id));
  return job->RequestSnapshot(export_to, last);
}

absl::Status Coordinator::AcknowledgeSnapshots(const std::string& job_id, const std::set<uint64_t>& snapshots) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(job_id));
  job->Acknowledge(snapshots);
  return absl::OkStatus();
}

absl::Status Coordinator::Logs(const std::string& job_id, uint64_t after, bool follow,
                               absl::FunctionRef<bool(const v1::JobEvent&)> send,
                               absl::FunctionRef<bool()> cancelled) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Job> job, queue_->Find(job_id));
  uint64_t version = 0;
  while (!cancelled()) {
    // Before the events are read: its end is among them.
    const bool last = !follow || job->ended();
    for (const v1::JobEvent& event : job->EventsAfter(after)) {
      if (!send(event)) return absl::OkStatus();
      after = event.number();
    }
    if (last) return absl::OkStatus();
    if (stopper_.stopped()) return absl::UnavailableError("the coordinator is stopping");
    version = job->AwaitChange(version, kReaderTick);
  }
  return absl::CancelledError("the reader has gone");
}

absl::StatusOr<v1::ProcessLogPart> Coordinator::ProcessLog(const v1::GetProcessLogRequest& request,
                                                           MemberLogs::Cursor* cursor) const {
  SAMOVAR_ASSIGN_OR_RETURN(v1::ProcessLogPart part, logs_.Read(request, cursor));
  absl::MutexLock lock(&mu_);
  const Membership::Server* const server = members_.FindServer(request.server());
  const absl::Duration silence = server == nullptr ? absl::ZeroDuration() : SteadyNow() - server->heard;
  if (silence > Membership::kServerTimeout)
    part.set_lost(absl::StrCat("has been silent for ", absl::ToInt64Seconds(silence), " s"));
  return part;
}

}  // namespace samovar
