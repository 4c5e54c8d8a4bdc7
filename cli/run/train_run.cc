#include "cli/run/train_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/report/exit_codes.h"
#include "cli/run/fetch_curve.h"
#include "cli/run/follow_job.h"
#include "cli/run/job_client.h"
#include "cli/run/job_watcher.h"
#include "cli/run/look_at_standstill.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/last_snapshot.h"
#include "common/rpc/deadlines.h"
#include "common/rpc/dialer.h"
#include "common/rpc/status.h"
#include "samovar/v1/job.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);
// The coordinator checks the job; large nets take a while.
constexpr absl::Duration kSubmitDeadline = absl::Seconds(30);
constexpr absl::Duration kSubmitRetry = absl::Milliseconds(200);
// For small questions to the coordinator, which is on this machine.
constexpr absl::Duration kAskDeadline = absl::Seconds(5);
// After an interruption a last snapshot gets so long.
constexpr absl::Duration kLastSnapshotTimeout = absl::Seconds(30);
// A file that cannot be written is tried again after the one and given up after the other.
constexpr absl::Duration kWriteRetry = absl::Seconds(1);
constexpr absl::Duration kWritePatience = absl::Minutes(10);
// The curve is written this often; a process that is killed loses no more of it.
constexpr absl::Duration kHistoryInterval = absl::Seconds(20);
// Whether nothing moves is looked at this often.
constexpr absl::Duration kTick = absl::Milliseconds(250);

// Whether the same may succeed later: a disk is full, a server is being started again.
bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
      return false;
    default:
      return !status.ok();
  }
}

}  // namespace

TrainRun::TrainRun(Options options, Waker* waker, const Interruption* interruption, RunDirectory* directory,
                   TrainReporter* reporter)
    : options_(std::move(options)),
      waker_(*waker),
      interruption_(*interruption),
      directory_(*directory),
      reporter_(*reporter) {
  options_.cluster.waker = waker;
  options_.cluster.interrupted = [interruption] { return interruption->signal() != 0; };
  options_.cluster.on_event = [reporter](const std::string& text) { reporter->Warning(text); };
}

absl::Status TrainRun::Run() {
  // One that is resumed is recorded as it was until it goes on: it may be refused.
  if (!options_.spec.resume()) SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
  if (options_.spec.resume()) {
    const absl::StatusOr<std::string> csv = directory_.ReadHistory();
    // Where it is damaged, the curve begins with this run.
    if (csv.ok() && !csv->empty()) earlier_ = ParseCurve(*csv).value_or(Curve());
  }
  SAMOVAR_ASSIGN_OR_RETURN(cluster_, LocalCluster::Start(options_.cluster));
  reporter_.Ready(cluster_->coordinator());
  if (!options_.cluster.dashboard.empty()) TellDashboard();
  coordinator_ = std::make_shared<CoordinatorChannel>(cluster_->coordinator(), Dialer(options_.rpc), options_.storage);
  absl::Status status = Submit();
  if (status.ok()) {
    status = Follow();
    // As far as that is possible: the coordinator may be gone.
    if (!status.ok() && !interruption_.hurry()) WriteHistory().IgnoreError();
  }
  // A client that has no call under way hears only every few seconds that its server wants to end, which waits for it.
  coordinator_.reset();
  cluster_->Shutdown([this] { return interruption_.hurry(); });
  return status;
}

void TrainRun::TellDashboard() {
  const JobClient client({.coordinator = cluster_->coordinator(), .rpc = options_.rpc, .storage = options_.storage});
  const absl::Time until = SteadyNow() + kAskDeadline;
  while (SteadyNow() < until && interruption_.signal() == 0) {
    const absl::StatusOr<v1::ClusterStatus> status = client.ClusterStatus(until);
    if (!status.ok()) break;
    for (const v1::ServerStatus& server : status->servers()) {
      if (server.address() != cluster_->coordinator() || server.http().empty()) continue;
      cluster_->KeepDashboard(server.http());
      const std::string url = absl::StrCat("http://", server.http(), "/");
      PrintNotice(absl::StrCat("dashboard: ", url));
      reporter_.Dashboard(url);
      return;
    }
    // It registers within half a second.
    waker_.Wait(SteadyNow() + kSubmitRetry);
  }
  PrintWarning("the coordinator does not say where its dashboard is; its log, logs/server-0.log, does");
}

absl::Status TrainRun::Submit() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, coordinator_->Get());
  const std::unique_ptr<v1::JobService::Stub> stub = v1::JobService::NewStub(channel);
  const absl::Time deadline = SteadyNow() + kSubmitDeadline;
  for (bool again = false;; again = true) {
    grpc::ClientContext context;
    SetDeadline(&context, kSubmitDeadline);
    v1::SubmitRequest request;
    *request.mutable_spec() = options_.spec;
    v1::SubmitResponse response;
    const absl::Status status = FromGrpcStatus(stub->Submit(&context, request, &response));
    // A coordinator that died may have taken the job before.
    if (status.ok() || (again && absl::IsAlreadyExists(status))) return absl::OkStatus();
    if (interruption_.signal() != 0) return absl::CancelledError("interrupted");
    if (!absl::IsUnavailable(status) || SteadyNow() > deadline)
      return Annotate(status, "the coordinator refused the job");
    SAMOVAR_RETURN_IF_ERROR(cluster_->Supervise(SteadyNow(), progress_));
    waker_.Wait(std::min(cluster_->next_restart(), SteadyNow() + kSubmitRetry));
  }
}

absl::Status TrainRun::Follow() {
  JobWatcher watcher(coordinator_, options_.spec.job_id(), kWatchInterval, &waker_);
  ModelWriter writer(&options_.spec, options_.snapshot_prefix, Dialer(options_.rpc), options_.storage, &waker_);
  v1::JobStatus status;
  bool succeeded = false;
  // Why the job has ended, if it has in another way.
  absl::Status failed;
  while (true) {
    if (auto news = watcher.Take()) {
      status = *std::move(news);
      silence_told_ = false;
      standstill_.Take(status, SteadyNow());
      const absl::StatusOr<bool> taken = Take(status);
      const bool runs = status.state() == v1::JOB_STATE_QUEUED || status.state() == v1::JOB_STATE_RUNNING;
      if (runs) SAMOVAR_RETURN_IF_ERROR(taken.status());
      failed = taken.status();
      succeeded = taken.value_or(false);
      if (succeeded && WritesLastSnapshot(options_.spec.solver())) unwritten_.push_back(status.max_iter());
    }
    if (!GoesOn(status)) return absl::CancelledError("interrupted");
    WriteModels(status, &writer);
    if (SteadyNow() >= history_at_) {
      // If that fails the next time will do.
      WriteHistory().IgnoreError();
      history_at_ = SteadyNow() + kHistoryInterval;
    }
    // The snapshots of a job that has failed are models that the solver asked for.
    if (!failed.ok() && !writer.busy() && unwritten_.empty()) return failed;
    if (succeeded && !writer.busy() && unwritten_.empty()) return Finish(status);
    // A coordinator that died is waited for; one that has lost the job with its disk is not.
    const grpc::Status failure = watcher.Failure(absl::InfiniteDuration());
    if (!failure.ok()) return Annotate(FromGrpcStatus(failure), "the coordinator has lost the job");
    SAMOVAR_RETURN_IF_ERROR(cluster_->Supervise(SteadyNow(), progress_));
    // One that has ended is told of no more.
    if (failed.ok() && !succeeded) TellStandstill(watcher.Silence());
    waker_.Wait(
        std::min({cluster_->next_restart(), retry_at_, end_at_.value_or(absl::InfiniteFuture()), SteadyNow() + kTick}));
  }
}

void TrainRun::TellStandstill(absl::Duration silence) {
  if (silence >= kCoordinatorSilence) {
    reporter_.Silent(absl::ToDoubleSeconds(silence), cluster_->coordinator());
    if (silence >= Standstill::kAfter && !std::exchange(silence_told_, true)) {
      reporter_.Warning(absl::StrCat("no news from the coordinator at ", cluster_->coordinator(), " for ",
                                     absl::ToInt64Seconds(silence), " s; it is waited for"));
    }
    return;
  }
  if (!standstill_.IsDue(SteadyNow())) return;
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = coordinator_->Get();
  if (!channel.ok()) return;
  if (const auto facts = LookAtStandstill(*channel, options_.spec.job_id(), &standstill_)) {
    reporter_.StandsStill(*facts);
  }
}

absl::StatusOr<uint64_t> TrainRun::AskForSnapshot(bool last) {
  grpc::ClientContext context;
  SetDeadline(&context, kAskDeadline);
  v1::SnapshotRequest request;
  request.set_job_id(options_.spec.job_id());
  request.set_last(last);
  v1::SnapshotResponse response;
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, coordinator_->Get());
  SAMOVAR_RETURN_IF_ERROR(FromGrpcStatus(v1::JobService::NewStub(channel)->Snapshot(&context, request, &response)));
  return response.iteration();
}

bool TrainRun::GoesOn(const v1::JobStatus& status) {
  if (const int hangups = interruption_.hangups(); std::exchange(hangups_, hangups) != hangups) {
    const absl::StatusOr<uint64_t> asked = AskForSnapshot(/*last=*/false);
    reporter_.Warning(asked.ok()
                          ? absl::StrCat("hang-up: a snapshot of iteration ", *asked, " is taken, and training goes on")
                          : absl::StrCat("hang-up: no snapshot is taken: ", asked.status().message()));
  }
  if (interruption_.signal() == 0) return true;
  if (interruption_.hurry()) return false;
  if (!end_at_.has_value()) {
    end_at_ = SteadyNow() + kLastSnapshotTimeout;
    // Nothing was done that could be lost.
    if (status.completed_iterations() == 0) return false;
    const absl::StatusOr<uint64_t> asked = AskForSnapshot(/*last=*/true);
    if (asked.ok()) {
      last_asked_ = *asked;
      reporter_.Warning(absl::StrCat("interrupted: a last snapshot is taken, of iteration ", *asked,
                                     "; a second signal ends the run at once"));
    } else {
      reporter_.Warning(absl::StrCat("interrupted: no last snapshot is taken: ", asked.status().message()));
    }
  }
  if (!last_asked_.has_value()) return false;
  if (last_asked_ < options_.spec.solver().max_iter() && handled_.contains(*last_asked_)) return false;
  if (SteadyNow() < *end_at_) return true;
  reporter_.Warning(absl::StrCat("the last snapshot, of iteration ", *last_asked_, ", was not there within ",
                                 absl::FormatDuration(kLastSnapshotTimeout)));
  return false;
}

absl::StatusOr<bool> TrainRun::Take(const v1::JobStatus& status) {
  const JobNews news = news_.Take(status);
  progress_ = status.completed_iterations() + static_cast<uint64_t>(status.tests_size() + status.snapshots_size());
  if (options_.spec.resume() && status.state() == v1::JOB_STATE_RUNNING && !std::exchange(resumed_told_, true)) {
    SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
    reporter_.Resumed(status.resumed_from());
  }
  // Record the snapshot before it is reported: a user who reads of it may end this run, and must be able to resume it.
  if (!news.snapshots.empty()) {
    options_.record.snapshot = *news.snapshots.rbegin();
    SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
  }
  reporter_.Progress(status, news);
  for (uint64_t iteration : news.snapshots) {
    handled_.erase(iteration);
    // The last one's model is written when the job has succeeded.
    if (iteration < status.max_iter()) unwritten_.push_back(iteration);
  }
  // A new coordinator may hold snapshots again whose models were written under the one before.
  std::set<uint64_t> held;
  for (uint64_t iteration : status.unfetched_snapshots()) {
    if (handled_.contains(iteration)) held.insert(iteration);
  }
  if (!held.empty()) Acknowledge(held);
  return HasSucceeded(status);
}

void TrainRun::Acknowledge(const std::set<uint64_t>& iterations) {
  grpc::ClientContext context;
  SetDeadline(&context, kAskDeadline);
  v1::AcknowledgeSnapshotsRequest request;
  request.set_job_id(options_.spec.job_id());
  request.mutable_snapshots()->Add(iterations.begin(), iterations.end());
  v1::AcknowledgeSnapshotsResponse response;
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = coordinator_->Get();
  // If it is lost it is sent again with the next status that lists them.
  if (!channel.ok()) return;
  const grpc::Status ignored = v1::JobService::NewStub(*channel)->AcknowledgeSnapshots(&context, request, &response);
}

void TrainRun::TakeWritten(const ModelWriter::Written& written) {
  if (written.model.ok()) reporter_.ModelWritten(written.iteration, written.model_path);
  if (written.model.ok() && written.state.ok()) reporter_.SolverStateWritten(written.iteration, written.state_path);
  const absl::Status& failure = written.model.ok() ? written.state : written.model;
  if (failure.ok()) {
    failing_since_.reset();
  } else if (const absl::Time now = SteadyNow();
             MayPass(failure) && now - failing_since_.value_or(now) < kWritePatience) {
    if (!failing_since_.has_value()) {
      reporter_.Warning(
          absl::StrCat(failure.message(), "; it is tried again for ", absl::FormatDuration(kWritePatience)));
    }
    failing_since_ = failing_since_.value_or(now);
    retry_at_ = now + kWriteRetry;
    unwritten_.push_front(written.iteration);
    return;
  } else {
    failing_since_.reset();
    reporter_.Warning(std::string(failure.message()));
    missing_.push_back(std::string(failure.message()));
  }
  handled_.insert(written.iteration);
  Acknowledge({written.iteration});
}

void TrainRun::WriteModels(const v1::JobStatus& status, ModelWriter* writer) {
  if (const std::optional<ModelWriter::Written> written = writer->Take()) TakeWritten(*written);
  // A new coordinator may have listed a snapshot anew while its model was being written.
  while (!writer->busy() && !unwritten_.empty() && handled_.contains(unwritten_.front())) unwritten_.pop_front();
  if (writer->busy() || unwritten_.empty() || (failing_since_.has_value() && SteadyNow() < retry_at_)) return;
  retry_at_ = absl::InfiniteFuture();
  writer->Start(unwritten_.front(), status);
  unwritten_.pop_front();
}

absl::Status TrainRun::WriteHistory() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, coordinator_->Get());
  Curve curve;
  SAMOVAR_RETURN_IF_ERROR(FromGrpcStatus(FetchCurve(channel, options_.spec.job_id(), {}, kAskDeadline, &curve)));
  Prepend(earlier_, &curve);
  return directory_.SaveHistory(CurveCsv(curve));
}

absl::Status TrainRun::Finish(const v1::JobStatus& status) {
  const v1::LedgerSummary& ledger = status.ledger();
  if (ledger.chunks() == 0 || ledger.complete_chunks() != ledger.chunks() || ledger.iterations() != status.max_iter()) {
    return absl::InternalError(LedgerLine(ledger));
  }
  if (const absl::Status written = WriteHistory(); !written.ok())
    reporter_.Warning(absl::StrCat("the end of the run's curve could not be written: ", written.message()));
  // Without its last model the run can be resumed, which writes it.
  options_.record.finished = missing_.empty();
  SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
  if (!status.export_error().empty()) missing_.push_back(status.export_error());
  if (!missing_.empty()) {
    return absl::DataLossError(
        absl::StrCat("trained to the end, but some files could not be written: ", absl::StrJoin(missing_, "; ")));
  }
  reporter_.Succeeded(status);
  return absl::OkStatus();
}

}  // namespace samovar
