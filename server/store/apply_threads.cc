#include "server/store/apply_threads.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {

ApplyThreads::ApplyThreads(int threads, size_t max_queued) : max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->thread = std::thread(&ApplyThreads::Run, lanes_.back().get());
  }
}

ApplyThreads::~ApplyThreads() { Stop(); }

absl::Status ApplyThreads::Post(int thread, Task task) { return Enqueue(thread, max_queued_, std::move(task)); }

absl::Status ApplyThreads::PostControl(int thread, Task task) {
  return Enqueue(thread, std::numeric_limits<size_t>::max(), std::move(task));
}

absl::Status ApplyThreads::Enqueue(int thread, size_t limit, Task task) {
  Lane& lane = *lanes_[thread];
  absl::MutexLock lock(&lane.mu);
  if (lane.stopping) return absl::UnavailableError("the parameter server is shutting down");
  if (lane.queue.size() >= limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the parameter server is behind: ", limit, " requests wait for one thread; try again later"));
  }
  lane.queue.push_back(std::move(task));
  return absl::OkStatus();
}

void ApplyThreads::Run(Lane* lane) {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&lane->mu);
      lane->mu.Await(absl::Condition(lane, &Lane::HasWorkOrStops));
      if (lane->queue.empty()) return;
      task = std::move(lane->queue.front());
      lane->queue.pop_front();
    }
    task();
  }
}

void ApplyThreads::Stop() {
  for (auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mu);
    lane->stopping = true;
  }
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

}  // namespace samovar
