#include "cli/run/job_watcher.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/rpc/status.h"
#include "common/telemetry/guarded_turn.h"

namespace samovar {
namespace {

constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kLastRetry = absl::Seconds(5);

bool Ended(const v1::JobStatus& status) {
  return status.state() == v1::JOB_STATE_SUCCEEDED || status.state() == v1::JOB_STATE_FAILED ||
         status.state() == v1::JOB_STATE_CANCELLED;
}

}  // namespace

JobWatcher::JobWatcher(std::shared_ptr<CoordinatorChannel> coordinator, std::string job_id, absl::Duration interval,
                       Waker* waker)
    : coordinator_(std::move(coordinator)),
      job_id_(std::move(job_id)),
      interval_(interval),
      waker_(waker),
      thread_([this] { Run(); }) {}

JobWatcher::~JobWatcher() {
  stopper_.Stop();
  {
    absl::MutexLock lock(&mu_);
    if (call_ != nullptr) call_->TryCancel();
  }
  thread_.join();
}

std::optional<v1::JobStatus> JobWatcher::Take() {
  absl::MutexLock lock(&mu_);
  return std::exchange(newest_, std::nullopt);
}

void JobWatcher::TakeStatusLocked(v1::JobStatus status) {
  for (const v1::DisplayLine& line : status.displays()) first_display_ = std::max(first_display_, line.iteration() + 1);
  if (newest_.has_value()) {
    // Nobody has taken the lines of the status before.
    google::protobuf::RepeatedPtrField<v1::DisplayLine> lines;
    lines.Swap(newest_->mutable_displays());
    lines.MergeFrom(status.displays());
    lines.Swap(status.mutable_displays());
  }
  newest_ = std::move(status);
}

bool JobWatcher::TakeFailure(const grpc::Status& failure) {
  coordinator_->Note(FromGrpcStatus(failure));
  absl::MutexLock lock(&mu_);
  failure_ = failure;
  failing_since_ = std::min(failing_since_, SteadyNow());
  waker_->Notify();
  return failure.error_code() == grpc::StatusCode::NOT_FOUND;
}

bool JobWatcher::WatchOnce() {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = coordinator_->Get();
  // The home may say it later.
  if (!channel.ok()) {
    TakeFailure(grpc::Status(grpc::StatusCode::UNAVAILABLE, std::string(channel.status().message())));
    return false;
  }
  const auto stub = v1::JobService::NewStub(*channel);
  grpc::ClientContext context;
  v1::WatchRequest request;
  {
    absl::MutexLock lock(&mu_);
    if (stopper_.stopped()) return true;
    call_ = &context;
    request.set_first_display(first_display_);
  }
  // Also if something is thrown: the destructor must not find what is gone.
  const absl::Cleanup forget = [&] {
    context.TryCancel();
    absl::MutexLock lock(&mu_);
    call_ = nullptr;
  };
  request.set_displays(true);
  request.set_job_id(job_id_);
  request.set_interval_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(interval_)));
  const std::unique_ptr<grpc::ClientReader<v1::JobStatus>> reader = stub->Watch(&context, request);
  v1::JobStatus status;
  bool ended = false;
  while (reader->Read(&status)) {
    ended = Ended(status);
    {
      absl::MutexLock lock(&mu_);
      TakeStatusLocked(std::move(status));
      failure_ = grpc::Status::OK;
      failing_since_ = absl::InfiniteFuture();
      heard_ = SteadyNow();
    }
    status.Clear();
    waker_->Notify();
  }
  const grpc::Status end = reader->Finish();
  // A coordinator that is started again is there soon.
  return ended || TakeFailure(end);
}

absl::Duration JobWatcher::Silence() const {
  absl::MutexLock lock(&mu_);
  return SteadyNow() - heard_;
}

grpc::Status JobWatcher::Failure(absl::Duration patience) const {
  absl::MutexLock lock(&mu_);
  const bool final = failure_.error_code() == grpc::StatusCode::NOT_FOUND;
  return final || SteadyNow() - failing_since_ > patience ? failure_ : grpc::Status::OK;
}

void JobWatcher::NoteFailure() {
  {
    absl::MutexLock lock(&mu_);
    failure_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
    failing_since_ = std::min(failing_since_, SteadyNow());
  }
  waker_->Notify();
}

void JobWatcher::Run() {
  Backoff backoff(kFirstRetry, kLastRetry, static_cast<uint64_t>(getpid()));
  bool over = false;
  while (!over) {
    if (!RunTurn("the watch of a job", [&] { over = WatchOnce(); })) NoteFailure();
    if (over || stopper_.WaitFor(backoff.Next())) return;
  }
}

}  // namespace samovar
