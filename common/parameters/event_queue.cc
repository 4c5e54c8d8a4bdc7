#include "common/parameters/event_queue.h"

#include <grpc/support/time.h>

#include <algorithm>

#include "common/base/clock.h"
#include "common/rpc/next_event.h"
#include "common/telemetry/guarded_turn.h"

namespace samovar {
namespace {

// How long callers may stay away before the thread takes over: if something is under way, and otherwise.
constexpr absl::Duration kShortRest = absl::Milliseconds(2);
constexpr absl::Duration kRest = absl::Milliseconds(100);
// So many short rests without anything under way, and the next is a long one: between two iterations the thread need
// not be woken.
constexpr int kShortRests = 50;

}  // namespace

EventQueue::EventQueue(Handler handler) : handler_(handler), thread_([this] { Run(); }) {}

EventQueue::~EventQueue() {
  {
    absl::MutexLock lock(&mu_);
    ending_ = true;
    ended_.NotifyAll();
    awaited_.NotifyAll();
    if (thread_serves_) relief_->Cancel();
  }
  thread_.join();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) Handle(tag, ok);
}

void EventQueue::Handle(void* tag, bool ok) noexcept {
  RunTurn("the exchange with servers", [&] { handler_(tag, ok); });
}

void EventQueue::Poll() {
  {
    absl::MutexLock lock(&mu_);
    if (!std::exchange(wanted_, true)) awaited_.NotifyAll();
    ++turns_;
    if (thread_serves_) return;
    caller_serves_ = true;
  }
  void* tag = nullptr;
  bool ok = false;
  while (queue_.AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) == grpc::CompletionQueue::GOT_EVENT)
    Handle(tag, ok);
  absl::MutexLock lock(&mu_);
  caller_serves_ = false;
}

void EventQueue::ServeUntil(absl::FunctionRef<bool()> done, absl::Duration time) {
  {
    absl::MutexLock lock(&mu_);
    caller_serves_ = true;
    wanted_ = false;
    ++turns_;
    if (thread_serves_) {
      relief_->Cancel();
      mu_.Await(absl::Condition(this, &EventQueue::ThreadRestsLocked));
    }
  }
  const absl::Time end = SteadyNow() + time;
  void* tag = nullptr;
  bool ok = false;
  while (!done() && NextEvent(&queue_, end - SteadyNow(), &tag, &ok) == grpc::CompletionQueue::GOT_EVENT)
    Handle(tag, ok);
  absl::MutexLock lock(&mu_);
  caller_serves_ = false;
}

void EventQueue::Run() {
  int rests = kShortRests;
  absl::MutexLock lock(&mu_);
  while (!ending_) {
    const uint64_t turns = turns_;
    if (rests < kShortRests) {
      ended_.WaitFor(&mu_, kShortRest, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return ending_; });
    } else if (awaited_.WaitFor(&mu_, kRest,
                                [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return ending_ || wanted_; })) {
      rests = 0;
      continue;
    }
    rests = wanted_ ? 0 : std::min(rests + 1, kShortRests);
    const bool rested_enough = wanted_ || rests == kShortRests;
    if (!ending_ && turns_ == turns && !caller_serves_ && rested_enough) ServeOnThreadLocked();
  }
}

void EventQueue::ServeOnThreadLocked() {
  thread_serves_ = true;
  // To be cancelled: an alarm that goes off would do so a millisecond late.
  relief_.emplace(&queue_, gpr_inf_future(GPR_CLOCK_MONOTONIC), &relief_);
  mu_.Unlock();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok) && tag != &relief_) Handle(tag, ok);
  mu_.Lock();
  thread_serves_ = false;
  relief_.reset();
}

}  // namespace samovar
