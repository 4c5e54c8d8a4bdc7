#include "worker/train/activity_clock.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/parameters/push_counters.h"

namespace samovar {

const char* ActivityWords(v1::WorkerActivity activity) {
  switch (activity) {
    case v1::WORKER_ACTIVITY_PREPARING:
      return "prepares";
    case v1::WORKER_ACTIVITY_COMPUTING:
      return "computes";
    case v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS:
      return "waits for records";
    case v1::WORKER_ACTIVITY_WAITING_FOR_PUSH:
      return "waits for servers to take gradients";
    case v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS:
      return "waits for weights";
    case v1::WORKER_ACTIVITY_TESTING:
      return "tests";
    case v1::WORKER_ACTIVITY_RESTING:
      return "rests after a failure";
    default:
      return "has no work";
  }
}

ActivityClock::ActivityClock(Metrics* metrics)
    : records_(metrics->AddCounter("samovar_worker_records_total", "Records that were computed in training.")),
      began_(SteadyNow()),
      counted_(began_) {
  const auto add = [&](v1::WorkerActivity activity, const char* name, const char* help) {
    seconds_[activity] = metrics->AddCounter(name, help);
  };
  add(v1::WORKER_ACTIVITY_COMPUTING, "samovar_worker_compute_seconds_total", "Time of passes over the net.");
  add(v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS, "samovar_worker_feed_wait_seconds_total",
      "Time in which records were waited for.");
  add(v1::WORKER_ACTIVITY_WAITING_FOR_PUSH, "samovar_worker_push_wait_seconds_total",
      "Time in which servers were waited for to take gradients.");
  add(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS, "samovar_worker_pull_wait_seconds_total",
      "Time in which weights were waited for.");
  add(v1::WORKER_ACTIVITY_PREPARING, "samovar_worker_prepare_seconds_total",
      "Time in which nets were made and data were opened.");
  add(v1::WORKER_ACTIVITY_TESTING, "samovar_worker_test_seconds_total", "Time of passes over test sets.");
  add(v1::WORKER_ACTIVITY_IDLE, "samovar_worker_idle_seconds_total", "Time without work.");
  add(v1::WORKER_ACTIVITY_RESTING, "samovar_worker_rest_seconds_total", "Time of rests after failures.");
}

void ActivityClock::CountLocked() const {
  const absl::Time now = SteadyNow();
  seconds_.at(activity_)->Increment(absl::ToDoubleSeconds(now - counted_));
  counted_ = now;
}

absl::Duration ActivityClock::Spent(v1::WorkerActivity activity) const {
  absl::MutexLock lock(&mu_);
  CountLocked();
  return absl::Seconds(seconds_.at(activity)->Value());
}

v1::WorkerActivity ActivityClock::Switch(v1::WorkerActivity activity) {
  absl::MutexLock lock(&mu_);
  if (activity == activity_) return activity;
  CountLocked();
  began_ = counted_;
  return std::exchange(activity_, activity);
}

void ActivityClock::CountPushes(const v1::PushCounters& pushes) {
  absl::MutexLock lock(&mu_);
  AddCounters(pushes, &pushes_);
}

void ActivityClock::ForgetPushes() {
  absl::MutexLock lock(&mu_);
  pushes_.Clear();
}

std::string ActivityClock::LatenessNote() const {
  constexpr uint64_t kLate = 4;
  absl::MutexLock lock(&mu_);
  const uint64_t usual = StalenessPercentile(pushes_, 50);
  if (usual < kLate) return "";
  return absl::StrCat(
      "; half of this worker's gradients or more come ", usual,
      " updates late, which can be the cause as well: use fewer workers, --mode bounded or --mode sync");
}

void ActivityClock::WriteTo(v1::WorkerFigures* figures) const {
  absl::MutexLock lock(&mu_);
  CountLocked();
  figures->set_activity(activity_);
  figures->set_activity_seconds(absl::ToDoubleSeconds(counted_ - began_));
  figures->set_records(static_cast<uint64_t>(records_->Value()));
  figures->set_compute_seconds(seconds_.at(v1::WORKER_ACTIVITY_COMPUTING)->Value());
  figures->set_feed_wait_seconds(seconds_.at(v1::WORKER_ACTIVITY_WAITING_FOR_RECORDS)->Value());
  figures->set_push_wait_seconds(seconds_.at(v1::WORKER_ACTIVITY_WAITING_FOR_PUSH)->Value());
  figures->set_pull_wait_seconds(seconds_.at(v1::WORKER_ACTIVITY_WAITING_FOR_WEIGHTS)->Value());
  figures->set_prepare_seconds(seconds_.at(v1::WORKER_ACTIVITY_PREPARING)->Value());
  figures->set_test_seconds(seconds_.at(v1::WORKER_ACTIVITY_TESTING)->Value());
  figures->set_staleness_pushes(pushes_.applied());
  figures->set_staleness_p50(StalenessPercentile(pushes_, 50));
  figures->set_staleness_p99(StalenessPercentile(pushes_, 99));
  figures->set_staleness_max(pushes_.staleness_max());
}

}  // namespace samovar
