#include "cli/run/live_view.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/report/progress.h"

namespace samovar {
namespace {

// Warnings that are shown when the view has ended; the job's events have them all.
constexpr size_t kMaxWarnings = 20;

}  // namespace

absl::StatusOr<std::unique_ptr<LiveView>> LiveView::Open(const JobClient& client, const std::string& job_id,
                                                         std::unique_ptr<TrainReporter> after, Waker* waker) {
  absl::StatusOr<std::unique_ptr<Screen>> screen = Screen::Open();
  if (!screen.ok()) return screen.status();
  std::unique_ptr<LiveView> view(new LiveView(*std::move(screen), std::move(after)));
  view->data_.coordinator = client.address();
  view->data_.job.set_job_id(job_id);
  view->poller_ = std::make_unique<ClusterPoller>(client.coordinator(), ClusterPoller::Options{job_id}, waker);
  return view;
}

bool LiveView::Turn() {
  while (const std::optional<int> key = screen_->NextKey()) TakeKey(*key, &state_);
  if (auto news = poller_->Take()) {
    data_.cluster = std::move(news->cluster);
    data_.curve = std::move(news->curve);
    data_.events = std::move(news->events);
  }
  data_.now = absl::Now();
  screen_->Draw(JobView(data_, {screen_->rows(), screen_->columns(), screen_->utf8()}, &state_));
  return !state_.quit;
}

void LiveView::Watching(const std::string& net, const v1::JobStatus& status, const std::string& coordinator) {
  data_.net = net;
  data_.job = status;
  data_.coordinator = coordinator;
}

void LiveView::Waits(const std::string& cause) {
  // A job that waits: its state and the problems say it.
  if (data_.job.state() != v1::JOB_STATE_QUEUED) data_.trouble = cause;
}

void LiveView::Progress(const v1::JobStatus& status, const JobNews& news) {
  data_.job = status;
  data_.trouble.clear();
  for (const std::string& notice : news.notices) Warning(notice);
  for (const std::string& error : {news.snapshot_error, news.export_error}) {
    if (!error.empty()) Warning(error);
  }
}

void LiveView::Silent(double seconds, const std::string& coordinator) {
  data_.trouble = absl::StrCat("no news for ", FormatDuration(seconds), " from the coordinator at ", coordinator,
                               "; what is shown is of then");
}

void LiveView::Warning(const std::string& text) {
  warnings_.push_back(text);
  if (warnings_.size() > kMaxWarnings) warnings_.erase(warnings_.begin());
}

void LiveView::End() {
  poller_.reset();
  screen_.reset();
  for (const std::string& warning : std::exchange(warnings_, {})) after_->Warning(warning);
}

void LiveView::Succeeded(const v1::JobStatus& status) {
  End();
  after_->Succeeded(status);
}

void LiveView::Failed(const std::string& message) {
  End();
  after_->Failed(message);
}

}  // namespace samovar
