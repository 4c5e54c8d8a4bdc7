#include "server/store/lanes.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {

Lanes::Lanes(int lanes, size_t max_queued, const Counts& counts) : max_queued_(max_queued), refused_(counts.refused) {
  for (size_t i = 0; i < static_cast<size_t>(lanes); ++i) {
    lanes_.push_back(std::make_unique<Lane>());
    if (i < counts.queued.size()) lanes_.back()->queued = counts.queued[i];
    lanes_.back()->thread = std::thread(&Lanes::Run, lanes_.back().get());
  }
}

Lanes::~Lanes() { Stop(); }

absl::Status Lanes::RunOrPost(int number, Task task) {
  Lane& lane = *lanes_[static_cast<size_t>(number)];
  {
    absl::MutexLock lock(&lane.mu);
    if (lane.running || lane.stopping || !lane.queue.empty()) return EnqueueLocked(&lane, max_queued_, std::move(task));
    lane.running = true;
  }
  task();
  absl::MutexLock lock(&lane.mu);
  lane.running = false;
  return absl::OkStatus();
}

absl::Status Lanes::Post(int number, Task task) {
  Lane& lane = *lanes_[static_cast<size_t>(number)];
  absl::MutexLock lock(&lane.mu);
  return EnqueueLocked(&lane, max_queued_, std::move(task));
}

absl::Status Lanes::PostControl(int number, Task task) {
  Lane& lane = *lanes_[static_cast<size_t>(number)];
  absl::MutexLock lock(&lane.mu);
  return EnqueueLocked(&lane, std::numeric_limits<size_t>::max(), std::move(task));
}

absl::Status Lanes::EnqueueLocked(Lane* lane, size_t limit, Task task) const {
  if (lane->stopping) return absl::UnavailableError("the parameter server is shutting down");
  if (lane->queue.size() >= limit) {
    if (refused_ != nullptr) refused_->Increment();
    return absl::ResourceExhaustedError(
        absl::StrCat("the parameter server is behind: ", limit, " requests wait for one thread; try again later"));
  }
  lane->queue.push_back(std::move(task));
  lane->CountQueued();
  return absl::OkStatus();
}

void Lanes::Run(Lane* lane) {
  absl::MutexLock lock(&lane->mu);
  while (true) {
    lane->mu.Await(absl::Condition(lane, &Lane::MayRunOrStops));
    if (lane->queue.empty()) return;
    Task task = std::move(lane->queue.front());
    lane->queue.pop_front();
    lane->CountQueued();
    lane->running = true;
    lane->mu.Unlock();
    task();
    // Objects that the task holds may end here, and their destructors may post.
    task = nullptr;
    lane->mu.Lock();
    lane->running = false;
  }
}

void Lanes::Stop() {
  for (auto& lane : lanes_) {
    absl::MutexLock lock(&lane->mu);
    lane->stopping = true;
  }
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

}  // namespace samovar
