#include "cli/run/tensorboard_feed.h"

#include <utility>

#include "cli/run/fetch_curve.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"
#include "common/telemetry/guarded_turn.h"

namespace samovar {
namespace {

// TensorBoard itself looks for news every few seconds.
constexpr absl::Duration kInterval = absl::Seconds(2);
// For each of a curve's calls.
constexpr absl::Duration kDeadline = absl::Seconds(5);
// A coordinator of this machine answers within milliseconds.
constexpr absl::Duration kUpdatePatience = absl::Seconds(5);

}  // namespace

TensorBoardFeed::TensorBoardFeed(std::shared_ptr<CoordinatorChannel> coordinator, std::string job_id,
                                 std::string directory)
    : coordinator_(std::move(coordinator)),
      job_id_(std::move(job_id)),
      directory_(std::move(directory)),
      thread_([this] { Run(); }) {}

TensorBoardFeed::~TensorBoardFeed() {
  {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
  // Those points as well that have waited for others of their second.
  Write(/*is_end=*/true).IgnoreError();
}

void TensorBoardFeed::Update(bool is_end) {
  absl::MutexLock lock(&mu_);
  if (is_end_) return;
  is_end_ = is_end;
  const int wanted = ++asked_;
  changed_.NotifyAll();
  changed_.WaitFor(&mu_, kUpdatePatience, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return done_ >= wanted; });
}

absl::Status TensorBoardFeed::TakeError() {
  absl::MutexLock lock(&mu_);
  if (error_.ok() || std::exchange(told_, true)) return absl::OkStatus();
  return error_;
}

absl::Status TensorBoardFeed::Fetch(bool is_end) {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = coordinator_->Get();
  if (!channel.ok()) return absl::OkStatus();
  Curve curve;
  const CurvePart part = {.first_iteration = events_.next(), .all_tests = true};
  const absl::Status fetched = FromGrpcStatus(FetchCurve(*channel, job_id_, part, kDeadline, &curve));
  coordinator_->Note(fetched);
  if (!fetched.ok()) return absl::OkStatus();
  curve_ = std::move(curve);
  return Write(is_end);
}

absl::Status TensorBoardFeed::Write(bool is_end) {
  const std::optional<uint64_t> first = FirstIteration(curve_);
  if (!first.has_value()) return absl::OkStatus();
  if (file_ == nullptr) {
    SAMOVAR_ASSIGN_OR_RETURN(file_, EventFile::Create(directory_, *first));
  }
  events_.AddTo(curve_, is_end, file_.get());
  return file_->Flush();
}

void TensorBoardFeed::Run() {
  while (true) {
    int asked = 0;
    bool is_end = false;
    {
      absl::MutexLock lock(&mu_);
      changed_.WaitFor(&mu_, kInterval,
                       [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_ || asked_ > done_; });
      if (stopped_) return;
      asked = asked_;
      is_end = is_end_;
    }
    absl::Status status;
    RunTurn("TensorBoard's event file", [&] { status = Fetch(is_end); });
    absl::MutexLock lock(&mu_);
    if (!status.ok()) error_ = status;
    done_ = asked;
    changed_.NotifyAll();
  }
}

}  // namespace samovar
