#include "common/parameters/event_queue.h"

#include <chrono>

#include "common/base/clock.h"
#include "common/rpc/next_event.h"

namespace samovar {
namespace {

constexpr absl::Duration kRest = absl::Milliseconds(100);

}  // namespace

EventQueue::EventQueue(Handler handler) : handler_(handler), thread_([this] { Run(); }) {}

EventQueue::~EventQueue() {
  {
    absl::MutexLock lock(&mu_);
    ending_ = true;
  }
  queue_.Shutdown();
  thread_.join();
}

void EventQueue::ServeMeanwhile() {
  absl::MutexLock lock(&mu_);
  wanted_ = true;
}

void EventQueue::ServeUntil(absl::FunctionRef<bool()> done, absl::Duration time) {
  {
    absl::MutexLock lock(&mu_);
    caller_serves_ = true;
    wanted_ = false;
    ++turns_;
    if (thread_serves_) {
      if (!relief_.has_value()) relief_.emplace(&queue_, std::chrono::system_clock::now(), &relief_);
      mu_.Await(absl::Condition(this, &EventQueue::ThreadRestsLocked));
    }
  }
  const absl::Time end = SteadyNow() + time;
  void* tag = nullptr;
  bool ok = false;
  while (!done() && NextEvent(&queue_, end - SteadyNow(), &tag, &ok) == grpc::CompletionQueue::GOT_EVENT) handler_(tag, ok);
  absl::MutexLock lock(&mu_);
  caller_serves_ = false;
}

void EventQueue::Run() {
  uint64_t turns_seen = 0;
  absl::MutexLock lock(&mu_);
  while (true) {
    const bool must = mu_.AwaitWithTimeout(absl::Condition(this, &EventQueue::MustServeLocked), kRest);
    const bool others_serve = caller_serves_ || turns_ != turns_seen;
    turns_seen = turns_;
    if (!must && others_serve) continue;
    thread_serves_ = true;
    mu_.Unlock();
    void* tag = nullptr;
    bool ok = false;
    bool open = true;
    while ((open = queue_.Next(&tag, &ok)) && tag != &relief_) handler_(tag, ok);
    mu_.Lock();
    thread_serves_ = false;
    relief_.reset();
    if (!open) return;
  }
}

}  // namespace samovar
