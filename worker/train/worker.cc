#include "worker/train/worker.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exceptions.h"
#include "common/base/process_usage.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/telemetry/guarded_turn.h"
#include "common/telemetry/log.h"
#include "common/telemetry/log_format.h"
#include "worker/train/lease_runner.h"

namespace samovar {
namespace {

// A coordinator that was started again is to be found at once; asking one that cannot be reached costs nothing.
constexpr absl::Duration kFirstRetry = absl::Milliseconds(50);
constexpr absl::Duration kLongestRetry = absl::Milliseconds(250);
constexpr absl::Duration kFirstFailureRest = absl::Milliseconds(100);
constexpr absl::Duration kLongestFailureRest = absl::Seconds(10);
// A worker whose lease went to others, because a server did not answer it, asks for no other before the server does, or
// before this time has passed: its next job may have other servers.
constexpr absl::Duration kSilentServerPatience = absl::Seconds(30);
// Whether another server has its share is asked this often.
constexpr absl::Duration kLookAgain = absl::Seconds(1);
// For the iteration with which a worker pushes its residual.
constexpr absl::Duration kLastReports = absl::Seconds(5);

v1::JoinRequest Describe(const Worker::Options& options) {
  v1::JoinRequest self;
  self.set_name(Worker::NameOf(options));
  self.set_pid(static_cast<uint64_t>(getpid()));
  self.set_threads(static_cast<uint32_t>(options.threads));
  self.set_version(Version());
  self.set_isa(EngineLevel());
  self.set_host(MachineName());
  return self;
}

// The first iteration of the lease; if it is a test's, the iteration that is tested.
uint64_t FirstIteration(const v1::WorkLease& lease) {
  return lease.has_train() ? lease.train().begin() : lease.test().frozen_iteration();
}

std::string WorkText(const v1::WorkLease& lease) {
  if (!lease.has_train()) return absl::StrCat("iteration ", FirstIteration(lease), " of job ", lease.job_id());
  const uint64_t last = std::max(lease.train().begin() + 1, lease.train().end()) - 1;
  if (last == lease.train().begin()) return absl::StrCat("iteration ", last, " of job ", lease.job_id());
  return absl::StrCat("iterations ", lease.train().begin(), " to ", last, " of job ", lease.job_id());
}

bool IsPermanent(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsUnimplemented(status);
}

}  // namespace

std::string Worker::NameOf(const Options& options) {
  return options.name.empty() ? absl::StrCat(MachineName(), "-", getpid()) : options.name;
}

Worker::Worker(const Options& options)
    : options_(options),
      pool_(options.threads),
      session_(options.coordinator, Dialer(options.rpc), options.storage, Describe(options),
               [this] { return Figures(); }),
      assignments_({&pool_, &clock_, Dialer(options.rpc), options.channels, options.partitions, options.storage}),
      failure_backoff_(kFirstFailureRest, kLongestFailureRest, static_cast<uint64_t>(getpid())) {}

Worker::~Worker() { Stop(); }

void Worker::Stop() {
  stopper_.Stop();
  {
    absl::MutexLock lock(&owing_mu_);
    const auto settled = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(owing_mu_) { return !owing_; };
    settled_.WaitFor(&owing_mu_, kLastReports, settled);
  }
  session_.Stop();
}

std::string Worker::UnreadyText() const {
  if (stopper_.stopped()) return "the worker stops";
  if (!session_.joined()) return absl::StrCat("the worker has not joined ", options_.coordinator, " yet");
  return session_.unreachable() ? absl::StrCat("coordinator ", session_.client().address(), " does not answer") : "";
}

void Worker::Run() {
  while (!stopper_.stopped()) {
    const bool done = RunTurn("the worker", [this] {
      Join();
      const std::shared_ptr<HeldLease> held = NextLease();
      if (held != nullptr) Work(*held);
    });
    if (!done) stopper_.WaitFor(kFirstRetry);
  }
  if (const absl::Status left = session_.Leave(); !left.ok()) {
    LogWarning(absl::StrCat("could not leave: ", left.message(), "; the leases run out by themselves"));
  }
  LogInfo(absl::StrCat("metrics: ", metrics_.Line()));
}

void Worker::Join() {
  Backoff backoff(kFirstRetry, kLongestRetry, static_cast<uint64_t>(getpid()));
  for (bool told = false; !session_.joined() && !stopper_.stopped(); told = true) {
    const absl::Status joined = session_.Join();
    if (joined.ok()) break;
    if (!told) LogWarning(absl::StrCat("cannot join: ", joined.message(), "; goes on trying"));
    stopper_.WaitFor(backoff.Next());
  }
  if (told_joined_ || !session_.joined()) return;
  told_joined_ = true;
  if (options_.on_joined) options_.on_joined();
}

std::shared_ptr<HeldLease> Worker::NextLease() {
  Backoff backoff(kFirstRetry, kLongestRetry, static_cast<uint64_t>(getpid()));
  while (!stopper_.stopped() && session_.joined()) {
    const absl::StatusOr<CoordinatorSession::Answer> answer = session_.AskForLease();
    if (!answer.ok()) {
      // The heartbeats say so if the coordinator cannot be reached.
      LogDebug(answer.status().message());
      stopper_.WaitFor(backoff.Next());
      continue;
    }
    if (answer->lease != nullptr) return answer->lease;
    backoff.Reset();
    stopper_.WaitFor(answer->retry_after);
  }
  return nullptr;
}

void Worker::Work(const HeldLease& held) {
  const v1::WorkLease& lease = held.lease;
  const LogScope scope({lease.job_id(), FirstIteration(lease)});
  SetWork(WorkText(lease));
  const absl::Cleanup rest = [this] { SetWork(""); };
  ScopeActivity activity(&clock_, v1::WORKER_ACTIVITY_PREPARING);
  absl::StatusOr<Assignment*> assignment = nullptr;
  const absl::Status prepared = CatchExceptions([&] {
    assignment = Prepare(lease);
    return absl::OkStatus();
  });
  if (!prepared.ok()) assignment = prepared;
  if (absl::IsNotFound(assignment.status())) {
    assignments_.Drop(lease.job_id());
    // The coordinator knows this: it has just said it.
    LogInfo(absl::StrCat("job ", lease.job_id(), " has ended"));
    return;
  }
  absl::Status status = assignment.status();
  if (status.ok()) {
    activity.GoOnWith(lease.has_train() ? v1::WORKER_ACTIVITY_COMPUTING : v1::WORKER_ACTIVITY_TESTING);
    SetOwing(lease.has_train() && (*assignment)->parameters().keeps_residual());
    status =
        CatchExceptions([&] { return RunLease(held, stopper_, options_.check_sent, *assignment, &session_.outbox()); });
    SetOwing(false);
  }
  if (status.ok()) {
    failure_backoff_.Reset();
    return;
  }
  if (held.ended.stopped() || stopper_.stopped()) {
    LogDebug(absl::StrCat("job ", lease.job_id(), ": lease ", lease.lease_id(), " was dropped: ", status.message()));
    // The next lease would end in the same way.
    activity.GoOnWith(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS);
    if (assignment.ok()) AwaitSilentServers(held, *assignment);
    return;
  }
  activity.GoOnWith(v1::WORKER_ACTIVITY_RESTING);
  Report(lease, status);
}

void Worker::AwaitSilentServers(const HeldLease& held, Assignment* assignment) {
  const absl::Time end = SteadyNow() + kSilentServerPatience;
  while (held.waiting.HasSilentServer() && SteadyNow() < end && !stopper_.stopped()) {
    AwaitServers(held, std::min(end, SteadyNow() + kLookAgain), stopper_, assignment);
    // Another server may have the share by now, or nobody wants the job any more.
    const absl::StatusOr<v1::GetAssignmentResponse> now = AskForAssignment(held.lease.job_id());
    if (now.ok() ? !assignment->IsFor(*now) : absl::IsNotFound(now.status())) return;
  }
}

absl::StatusOr<v1::GetAssignmentResponse> Worker::AskForAssignment(const std::string& job_id) {
  v1::GetAssignmentRequest request;
  request.set_worker_id(session_.worker_id());
  request.set_job_id(job_id);
  return session_.client().GetAssignment(request);
}

absl::StatusOr<Assignment*> Worker::Prepare(const v1::WorkLease& lease) {
  // At each lease, since a job's name may have passed to another job. One small call a second or so.
  SAMOVAR_ASSIGN_OR_RETURN(const v1::GetAssignmentResponse message, AskForAssignment(lease.job_id()));
  if (message.epoch() != lease.epoch()) {
    assignments_.Drop(lease.job_id());
    return absl::FailedPreconditionError(
        absl::StrCat("the lease is of epoch ", lease.epoch(), ", the job is of epoch ", message.epoch(), " by now"));
  }
  absl::StatusOr<Assignment*> assignment = assignments_.Get(message, SteadyNow());
  if (absl::IsNotFound(assignment.status())) {
    // That a file is not found here does not mean that the job is not.
    return absl::FailedPreconditionError(assignment.status().message());
  }
  return assignment;
}

v1::WorkerFigures Worker::Figures() const {
  v1::WorkerFigures figures;
  clock_.WriteTo(&figures);
  figures.set_cpu_seconds(ProcessCpuSeconds());
  figures.set_resident_bytes(ProcessResidentBytes());
  if (options_.cache_bytes) figures.set_cache_bytes(options_.cache_bytes());
  return figures;
}

void Worker::SetWork(std::string work) {
  absl::MutexLock lock(&work_mu_);
  work_ = std::move(work);
}

std::string Worker::StatusText() const {
  if (std::string unready = UnreadyText(); !unready.empty()) return unready;
  v1::WorkerFigures figures;
  clock_.WriteTo(&figures);
  absl::MutexLock lock(&work_mu_);
  return absl::StrCat("works for ", options_.coordinator, ": ", ActivityWords(figures.activity()),
                      work_.empty() ? "" : ", ", work_);
}

void Worker::SetOwing(bool owing) {
  absl::MutexLock lock(&owing_mu_);
  owing_ = owing;
  if (!owing_) settled_.NotifyAll();
}

void Worker::Report(const v1::WorkLease& lease, const absl::Status& failure) {
  LogWarning(absl::StrCat("job ", lease.job_id(), ": ", failure.message()));
  v1::WorkFailure message;
  message.set_job_id(lease.job_id());
  message.set_lease_id(lease.lease_id());
  message.set_code(static_cast<int32_t>(failure.code()));
  message.set_message(std::string(failure.message()));
  message.set_permanent(IsPermanent(failure));
  session_.outbox().Add(std::move(message));
  session_.ReportNow();
  // Nothing that may have led to it is used again.
  assignments_.Close(lease.job_id());
  stopper_.WaitFor(failure_backoff_.Next());
}

}  // namespace samovar
