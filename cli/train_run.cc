#include "cli/train_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/follow_job.h"
#include "cli/job_watcher.h"
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
constexpr absl::Duration kSubmitRetry = absl::Milliseconds(200);

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
    if (!absl::IsUnavailable(status) || SteadyNow() > deadline) return Annotate(status, "the coordinator refused the job");
    SAMOVAR_RETURN_IF_ERROR(cluster_->Supervise(SteadyNow(), progress_));
    waker_.Wait(std::min(cluster_->next_restart(), SteadyNow() + kSubmitRetry));
  }
}

absl::Status TrainRun::Follow() {
  JobWatcher watcher(channel_, options_.spec.job_id(), kWatchInterval, &waker_);
  ModelWriter writer(&options_.spec, options_.snapshot_prefix, &waker_);
  v1::JobStatus status;
  bool succeeded = false;
  while (true) {
    if (interruption_.signal() != 0) return absl::CancelledError("interrupted");
    if (auto news = watcher.Take()) {
      status = *std::move(news);
      SAMOVAR_ASSIGN_OR_RETURN(succeeded, Take(status));
      if (succeeded) unwritten_.push_back(status.max_iter());
    }
    SAMOVAR_RETURN_IF_ERROR(WriteModels(status, &writer));
    if (succeeded && !writer.busy()) return Finish(status);
    // A coordinator that died is waited for; one that has lost the job with its disk is not.
    const grpc::Status failure = watcher.Failure(absl::InfiniteDuration());
    if (!failure.ok()) return Annotate(FromGrpcStatus(failure), "the coordinator has lost the job");
    SAMOVAR_RETURN_IF_ERROR(cluster_->Supervise(SteadyNow(), progress_));
    waker_.Wait(cluster_->next_restart());
  }
}

absl::StatusOr<bool> TrainRun::Take(const v1::JobStatus& status) {
  const JobNews news = news_.Take(status);
  progress_ = status.completed_iterations() + static_cast<uint64_t>(status.tests_size() + status.snapshots_size());
  reporter_.Progress(status, news);
  for (uint64_t iteration : news.snapshots) {
    options_.record.snapshot = iteration;
    SAMOVAR_RETURN_IF_ERROR(directory_.Save(options_.record));
    // The last one's model is written when the job has succeeded, whether it could be kept as a snapshot or not.
    if (iteration < status.max_iter()) unwritten_.push_back(iteration);
  }
  return HasSucceeded(status);
}

absl::Status TrainRun::WriteModels(const v1::JobStatus& status, ModelWriter* writer) {
  if (const std::optional<ModelWriter::Written> written = writer->Take()) {
    if (written->model.ok()) {
      reporter_.ModelWritten(written->iteration, written->model_path);
    } else if (written->iteration == status.max_iter()) {
      return written->model;
    } else {
      reporter_.Warning(std::string(written->model.message()));
    }
    if (!written->state.ok()) {
      reporter_.Warning(std::string(written->state.message()));
    } else if (written->model.ok()) {
      reporter_.SolverStateWritten(written->iteration, written->state_path);
    }
  }
  if (writer->busy() || unwritten_.empty()) return absl::OkStatus();
  writer->Start(unwritten_.front(), status);
  unwritten_.pop_front();
  return absl::OkStatus();
}

absl::Status TrainRun::Finish(const v1::JobStatus& status) {
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
