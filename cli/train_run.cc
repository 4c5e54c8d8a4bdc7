#include "cli/train_run.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/follow_job.h"
#include "cli/job_watcher.h"
#include "cli/model_export.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "samovar/v1/job.grpc.pb.h"

namespace samovar {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);
// The coordinator checks the job; large nets take a while.
constexpr absl::Duration kSubmitDeadline = absl::Seconds(30);

}  // namespace

TrainRun::TrainRun(Options options, Waker* waker, const Interruption* interruption, RunDirectory* directory,
                   TrainReporter* reporter)
    : options_(std::move(options)),
      waker_(*waker),
      interruption_(*interruption),
      directory_(*directory),
      reporter_(*reporter),
      news_(options_.spec.solver().display()) {
  options_.cluster.waker = waker;
  options_.cluster.interrupted = [interruption] { return interruption->signal() != 0; };
  options_.cluster.on_event = [reporter](const std::string& text) { reporter->Warning(text); };
}

absl::Status TrainRun::Run() {
  SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
  SAMOVAR_ASSIGN_OR_RETURN(cluster_, LocalCluster::Start(options_.cluster));
  reporter_.Ready(cluster_->coordinator());
  channel_ = MakeChannel(cluster_->coordinator());
  absl::Status status = Submit();
  if (status.ok()) status = Follow();
  // A client that has no call under way hears only every few seconds that its server wants to end, which waits for it.
  channel_.reset();
  cluster_->Shutdown([this] { return interruption_.hurry(); });
  return status;
}

absl::Status TrainRun::Submit() {
  const std::unique_ptr<v1::JobService::Stub> stub = v1::JobService::NewStub(channel_);
  grpc::ClientContext context;
  SetDeadline(&context, kSubmitDeadline);
  v1::SubmitRequest request;
  *request.mutable_spec() = options_.spec;
  v1::SubmitResponse response;
  return Annotate(FromGrpcStatus(stub->Submit(&context, request, &response)), "the coordinator refused the job");
}

absl::Status TrainRun::Follow() {
  JobWatcher watcher(channel_, options_.spec.job_id(), kWatchInterval, &waker_);
  while (true) {
    if (interruption_.signal() != 0) return absl::CancelledError("interrupted");
    if (const auto status = watcher.Take()) {
      SAMOVAR_ASSIGN_OR_RETURN(const bool succeeded, Take(*status));
      if (succeeded) return Finish(*status);
    }
    SAMOVAR_RETURN_IF_ERROR(cluster_->Supervise(SteadyNow(), progress_));
    waker_.Wait(cluster_->next_restart());
  }
}

absl::StatusOr<bool> TrainRun::Take(const v1::JobStatus& status) {
  const JobNews news = news_.Take(status);
  progress_ = status.completed_iterations() + static_cast<uint64_t>(status.tests_size() + status.snapshots_size());
  reporter_.Progress(status, news);
  for (uint64_t iteration : news.snapshots) SAMOVAR_RETURN_IF_ERROR(TakeSnapshot(iteration, status));
  return HasSucceeded(status);
}

absl::Status TrainRun::TakeSnapshot(uint64_t iteration, const v1::JobStatus& status) {
  options_.record.snapshot = iteration;
  SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
  // The last one's model is written by Finish, where failing to is an error.
  if (iteration == status.max_iter()) return absl::OkStatus();
  const absl::Status written = WriteModel(iteration, status);
  if (!written.ok()) reporter_.Warning(std::string(written.message()));
  return absl::OkStatus();
}

absl::Status TrainRun::WriteModel(uint64_t iteration, const v1::JobStatus& status) {
  const std::string path = ModelPath(options_.snapshot_prefix, iteration, options_.spec.solver());
  SAMOVAR_RETURN_IF_ERROR(Annotate(ExportModel(options_.spec, status, iteration, path, interruption_.stopper()),
                                   absl::StrCat("cannot write ", path)));
  reporter_.ModelWritten(iteration, path);
  WriteSolverState(iteration, status, path);
  return absl::OkStatus();
}

void TrainRun::WriteSolverState(uint64_t iteration, const v1::JobStatus& status, const std::string& model_path) {
  const std::string path = SolverStatePath(options_.snapshot_prefix, iteration, options_.spec.solver());
  const absl::Status written =
      ExportSolverState(options_.spec, status, iteration, model_path, path, interruption_.stopper());
  if (written.ok()) return reporter_.SolverStateWritten(iteration, path);
  reporter_.Warning(absl::StrCat("cannot write ", path, ": ", written.message()));
}

absl::Status TrainRun::Finish(const v1::JobStatus& status) {
  SAMOVAR_RETURN_IF_ERROR(WriteModel(status.max_iter(), status));
  const v1::LedgerSummary& ledger = status.ledger();
  if (ledger.chunks() == 0 || ledger.complete_chunks() != ledger.chunks() || ledger.iterations() != status.max_iter()) {
    return absl::InternalError(LedgerLine(ledger));
  }
  options_.record.finished = true;
  SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
  reporter_.Succeeded(status);
  return absl::OkStatus();
}

}  // namespace samovar
