// WorkerMetrics are a worker's counts: the records that it has computed, and where its time goes.
//
// Thread safety: all members may be used from any thread. The metrics that are added to outlive this.
#pragma once

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/telemetry/metrics.h"

namespace samovar {

struct WorkerMetrics {
  explicit WorkerMetrics(Metrics* metrics);

  // Records of training, once for each forward pass that they were in.
  MetricCounter* const records;
  // Passes forwards and backwards, pushes of layers that are final included.
  MetricCounter* const compute_seconds;
  // Nothing to compute, because the records were not there yet; ...
  MetricCounter* const feed_wait_seconds;
  // ... servers did not have the gradients yet; ...
  MetricCounter* const push_wait_seconds;
  // ... the weights were not here yet, for the network's sake or for other workers' iterations.
  MetricCounter* const pull_wait_seconds;
};

// Adds the time of its scope to a counter of seconds.
class ScopeSeconds {
 public:
  explicit ScopeSeconds(MetricCounter* counter) : counter_(counter), began_(SteadyNow()) {}
  ~ScopeSeconds() { counter_->Increment(absl::ToDoubleSeconds(SteadyNow() - began_)); }
  ScopeSeconds(const ScopeSeconds&) = delete;
  ScopeSeconds& operator=(const ScopeSeconds&) = delete;

  // The time that has passed is added there; the time from now on goes to another one.
  void GoOnWith(MetricCounter* counter) {
    const absl::Time now = SteadyNow();
    counter_->Increment(absl::ToDoubleSeconds(now - began_));
    counter_ = counter;
    began_ = now;
  }

 private:
  MetricCounter* counter_;
  absl::Time began_;
};

}  // namespace samovar
