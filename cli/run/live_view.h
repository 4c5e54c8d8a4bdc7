// LiveView shows a job on the whole terminal while it is followed. What it cannot show there, results and warnings, it
// writes to the terminal as it was when the view has ended.
//
// Thread safety: none.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/report/train_reporter.h"
#include "cli/run/cluster_poller.h"
#include "cli/run/follow_job.h"
#include "cli/terminal/screen.h"
#include "cli/terminal/views.h"

namespace samovar {

class LiveView final : public TrainReporter, public FollowView {
 public:
  // `after` reports what is left when the view has ended. The coordinator and the waker are those that the job is
  // followed with; the waker outlives this. FAILED_PRECONDITION: as Screen::Open.
  static absl::StatusOr<std::unique_ptr<LiveView>> Open(const JobClient& client, const std::string& job_id,
                                                        std::unique_ptr<TrainReporter> after, Waker* waker);

  int InputFd() const override { return screen_->input_fd(); }
  bool Turn() override;

  void Started(const RunFacts&) override {}
  void Ready(const std::string&) override {}
  void Resumed(uint64_t) override {}
  void Watching(const std::string& net, const v1::JobStatus& status, const std::string& coordinator) override;
  void Waits(const std::string& cause) override;
  void Progress(const v1::JobStatus& status, const JobNews& news) override;
  void Silent(double seconds, const std::string& coordinator) override;
  // The view shows why all the time.
  void StandsStill(const StandstillFacts&) override {}
  void DisplayRemark(const std::string&) override {}
  bool ShowsDisplays() const override { return false; }
  void Warning(const std::string& text) override;
  void ModelWritten(uint64_t, const std::string&) override {}
  void SolverStateWritten(uint64_t, const std::string&) override {}
  void Succeeded(const v1::JobStatus& status) override;
  void Unwatched() override { End(); }
  void Failed(const std::string& message) override;

 private:
  LiveView(std::unique_ptr<Screen> screen, std::unique_ptr<TrainReporter> after)
      : screen_(std::move(screen)), after_(std::move(after)) {}

  // The terminal is as it was, and shows the warnings.
  void End();

  // Null when the view has ended.
  std::unique_ptr<Screen> screen_;
  const std::unique_ptr<TrainReporter> after_;
  std::unique_ptr<ClusterPoller> poller_;
  JobViewData data_;
  ViewState state_;
  // The newest of them.
  std::vector<std::string> warnings_;
};

}  // namespace samovar
