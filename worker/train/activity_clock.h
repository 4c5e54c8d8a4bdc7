// ActivityClock counts where a worker's time goes: it is always in one activity, and each has its seconds, the one that
// goes on included. And it counts what the worker does meanwhile: records, and pushes by their staleness.
//
//   const ScopeActivity activity(&clock, v1::WORKER_ACTIVITY_COMPUTING);
//
// Thread safety: one thread switches; all other methods may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/telemetry/metrics.h"
#include "samovar/v1/status.pb.h"

namespace samovar {

// "computes"; for people.
const char* ActivityWords(v1::WorkerActivity activity);

class ActivityClock {
 public:
  // Begins idle. The metrics outlive this.
  explicit ActivityClock(Metrics* metrics);

  // In the activity so far. REQUIRES: it is counted
  absl::Duration Spent(v1::WorkerActivity activity) const;
  // Returns the activity before.
  v1::WorkerActivity Switch(v1::WorkerActivity activity);
  // Records of training, once for each forward pass that they were in.
  void CountRecords(uint64_t records) { records_->Increment(static_cast<double>(records)); }
  // Chunks of gradients that servers have applied, by their staleness. Those of another job are forgotten.
  void CountPushes(const v1::PushCounters& pushes);
  void ForgetPushes();
  // For people: if half of the pushes, or more, come late by several updates, that this may be the cause of a loss or a
  // gradient that is not finite, and what to do; to be put behind a message. Else empty.
  std::string LatenessNote() const;

  // The activity, the seconds of each, and the records.
  void WriteTo(v1::WorkerFigures* figures) const;

 private:
  // Adds the time since the last call to the activity's.
  void CountLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  MetricCounter* const records_;
  // Null: an activity that is not counted. Not changed after the construction.
  std::map<v1::WorkerActivity, MetricCounter*> seconds_;

  mutable absl::Mutex mu_;
  v1::WorkerActivity activity_ ABSL_GUARDED_BY(mu_) = v1::WORKER_ACTIVITY_IDLE;
  absl::Time began_ ABSL_GUARDED_BY(mu_);
  mutable absl::Time counted_ ABSL_GUARDED_BY(mu_);
  v1::PushCounters pushes_ ABSL_GUARDED_BY(mu_);
};

// The worker is in an activity for the time of the scope, and then again in the one before.
class ScopeActivity {
 public:
  ScopeActivity(ActivityClock* clock, v1::WorkerActivity activity) : clock_(*clock), before_(clock->Switch(activity)) {}
  ~ScopeActivity() { clock_.Switch(before_); }
  ScopeActivity(const ScopeActivity&) = delete;
  ScopeActivity& operator=(const ScopeActivity&) = delete;

  // The rest of the scope is another activity.
  void GoOnWith(v1::WorkerActivity activity) { clock_.Switch(activity); }

 private:
  ActivityClock& clock_;
  const v1::WorkerActivity before_;
};

}  // namespace samovar
