// ApplyThreads runs tasks on a fixed number of threads, each with a queue of its own: what is posted to one thread runs
// there, in order. Data that only one thread's tasks touch needs no lock.
//
// Thread safety: public methods may be called from any thread, except where said. Lock order: each queue's lock is a
// leaf.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace samovar {

class ApplyThreads {
 public:
  using Task = std::function<void()>;

  // At most `max_queued` tasks of Post wait for each thread. REQUIRES: threads >= 1
  ApplyThreads(int threads, size_t max_queued);
  // As Stop().
  ~ApplyThreads();
  ApplyThreads(const ApplyThreads&) = delete;
  ApplyThreads& operator=(const ApplyThreads&) = delete;

  int threads() const { return static_cast<int>(lanes_.size()); }

  // Never blocks. RESOURCE_EXHAUSTED: the thread's queue is full. UNAVAILABLE: stopped. The task is dropped in both
  // cases.
  absl::Status Post(int thread, Task task);

  // As Post, but not refused for a full queue: for the few tasks of the server's own making.
  absl::Status PostControl(int thread, Task task);

  // Runs what is queued, then ends the threads. Blocks. Idempotent. Not to be called from a task.
  void Stop();

 private:
  struct Lane {
    absl::Mutex mu;
    std::deque<Task> queue ABSL_GUARDED_BY(mu);
    bool stopping ABSL_GUARDED_BY(mu) = false;
    std::thread thread;

    bool HasWorkOrStops() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return stopping || !queue.empty(); }
  };

  absl::Status Enqueue(int thread, size_t limit, Task task);
  static void Run(Lane* lane);

  const size_t max_queued_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace samovar
