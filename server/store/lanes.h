// Lanes runs tasks in a fixed number of lanes: one lane's tasks run one after the other, so that data which only
// they touch needs no lock. Each lane has a thread; but a thread that posts a task to a lane that rests may run the
// task itself, because to wake the lane's thread takes longer than most tasks do.
//
// Thread safety: public methods may be called from any thread, except where said. Lock order: each lane's lock is a
// leaf, and is not held while a task runs.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/telemetry/metrics.h"

namespace samovar {

class Lanes {
 public:
  // Must not throw: an exception of a task ends the process.
  using Task = std::function<void()>;

  // The metrics that lanes count in; they outlive the lanes. Lanes do not count where there is none.
  struct Counts {
    // Tasks that were refused, because a queue was full.
    MetricCounter* refused = nullptr;
    // Tasks that wait, of each lane.
    std::vector<MetricGauge*> queued = {};
  };

  // At most `max_queued` tasks of Post wait in each lane. REQUIRES: lanes >= 1
  Lanes(int lanes, size_t max_queued, const Counts& counts = {nullptr, {}});
  // As Stop().
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  int lanes() const { return static_cast<int>(lanes_.size()); }
  // The lane whose tasks alone touch this chunk, `chunk` being its place among those of its job that are here. A lane
  // has FirstOf(lane) and, after each chunk that it has, NextOf(chunk), as far as there are chunks.
  int LaneOf(size_t chunk) const { return static_cast<int>(chunk % lanes_.size()); }
  size_t FirstOf(int lane) const { return static_cast<size_t>(lane); }
  size_t NextOf(size_t chunk) const { return chunk + lanes_.size(); }

  // Queues the task for the lane's thread. Never blocks. RESOURCE_EXHAUSTED: the lane's queue is full. UNAVAILABLE:
  // stopped. The task is dropped in both cases.
  absl::Status Post(int lane, Task task);

  // As Post, but runs the task on the calling thread, before it returns, if the lane rests. Tasks should be short.
  absl::Status RunOrPost(int lane, Task task);

  // As Post, but not refused for a full queue: for the few tasks of the server's own making.
  absl::Status PostControl(int lane, Task task);

  // Runs the queued tasks, then ends the threads. Blocks. Idempotent. Not to be called from a task.
  void Stop();

 private:
  struct Lane {
    absl::Mutex mu;
    std::deque<Task> queue ABSL_GUARDED_BY(mu);
    // A task is being run.
    bool running ABSL_GUARDED_BY(mu) = false;
    bool stopping ABSL_GUARDED_BY(mu) = false;
    // May be null.
    MetricGauge* queued = nullptr;
    std::thread thread;

    void CountQueued() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
      if (queued != nullptr) queued->Set(static_cast<double>(queue.size()));
    }
    bool MayRunOrStops() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return !running && (stopping || !queue.empty()); }
  };

  absl::Status EnqueueLocked(Lane* lane, size_t limit, Task task) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(lane->mu);
  static void Run(Lane* lane);

  const size_t max_queued_;
  MetricCounter* const refused_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace samovar
