#include "cli/run/tensorboard_reporter.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/run/tensorboard_feed.h"
#include "common/base/status_macros.h"
#include "common/rpc/dialer.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

bool Ended(const v1::JobStatus& status) {
  return status.state() != v1::JOB_STATE_QUEUED && status.state() != v1::JOB_STATE_RUNNING;
}

class TensorBoardReporter : public TrainReporter {
 public:
  TensorBoardReporter(std::unique_ptr<TrainReporter> reporter, TensorBoardTarget target)
      : reporter_(std::move(reporter)), target_(std::move(target)) {}

  void Started(const RunFacts& facts) override {
    job_id_ = facts.job_id;
    reporter_->Started(facts);
  }
  void Ready(const std::string& coordinator) override {
    Begin(coordinator);
    reporter_->Ready(coordinator);
  }
  void Dashboard(const std::string& url) override { reporter_->Dashboard(url); }
  void Resumed(uint64_t iteration) override { reporter_->Resumed(iteration); }
  void Watching(const std::string& net, const v1::JobStatus& status, const std::string& coordinator) override {
    job_id_ = status.job_id();
    Begin(target_.place);
    reporter_->Watching(net, status, coordinator);
  }
  void Waits(const std::string& cause) override { reporter_->Waits(cause); }
  void Progress(const v1::JobStatus& status, const JobNews& news) override {
    reporter_->Progress(status, news);
    if (Ended(status)) Update(/*is_end=*/true);
    TellError();
  }
  void Silent(double seconds, const std::string& coordinator) override { reporter_->Silent(seconds, coordinator); }
  void StandsStill(const StandstillFacts& facts) override { reporter_->StandsStill(facts); }
  void DisplayRemark(const std::string& text) override { reporter_->DisplayRemark(text); }
  bool ShowsDisplays() const override { return reporter_->ShowsDisplays(); }
  void Warning(const std::string& text) override { reporter_->Warning(text); }
  void ModelWritten(uint64_t iteration, const std::string& path) override {
    // An interrupted run ends its coordinator after its last model.
    Update(/*is_end=*/false);
    reporter_->ModelWritten(iteration, path);
  }
  void SolverStateWritten(uint64_t iteration, const std::string& path) override {
    reporter_->SolverStateWritten(iteration, path);
  }
  void Succeeded(const v1::JobStatus& status) override {
    Update(/*is_end=*/true);
    TellError();
    reporter_->Succeeded(status);
  }
  void Unwatched() override { reporter_->Unwatched(); }
  void Failed(const std::string& message) override { reporter_->Failed(message); }

 private:
  void Begin(const std::string& place) {
    feed_ = std::make_unique<TensorBoardFeed>(
        std::make_shared<CoordinatorChannel>(place, Dialer(target_.rpc), target_.storage), job_id_, target_.directory);
  }
  void Update(bool is_end) {
    if (feed_ != nullptr) feed_->Update(is_end);
  }
  void TellError() {
    const absl::Status error = feed_ != nullptr ? feed_->TakeError() : absl::OkStatus();
    if (!error.ok()) reporter_->Warning(absl::StrCat("TensorBoard has not all points: ", error.message()));
  }

  const std::unique_ptr<TrainReporter> reporter_;
  const TensorBoardTarget target_;
  std::string job_id_;
  // Null: the job has no coordinator yet.
  std::unique_ptr<TensorBoardFeed> feed_;
};

}  // namespace

absl::Status MakeTensorBoardDir(const std::string& directory) {
  if (directory.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("--tensorboard: cannot make the directory ", directory));
  }
  return Annotate(CheckWritable(absl::StrCat(directory, "/events.out.tfevents")), "--tensorboard");
}

std::unique_ptr<TrainReporter> WithTensorBoard(std::unique_ptr<TrainReporter> reporter, TensorBoardTarget target) {
  if (target.directory.empty()) return reporter;
  return std::make_unique<TensorBoardReporter>(std::move(reporter), std::move(target));
}

}  // namespace samovar
