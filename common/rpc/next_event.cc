#include "common/rpc/next_event.h"

#include <grpc/support/time.h>
#include <sched.h>

#include <algorithm>
#include <chrono>

#include "common/rpc/deadlines.h"

namespace samovar {
namespace {

// Longer than a peer on the same network takes for an answer, and short beside a time slice.
constexpr absl::Duration kPatience = absl::Microseconds(50);

}  // namespace

grpc::CompletionQueue::NextStatus NextEvent(grpc::CompletionQueue* queue, absl::Duration time, void** tag, bool* ok) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + absl::ToChronoNanoseconds(std::min(time, kPatience));
  do {
    const auto next = queue->AsyncNext(tag, ok, gpr_inf_past(GPR_CLOCK_MONOTONIC));
    if (next != grpc::CompletionQueue::TIMEOUT) return next;
    // To threads that have work, if processors are scarce.
    sched_yield();
  } while (Clock::now() < end);
  if (time <= kPatience) return grpc::CompletionQueue::TIMEOUT;
  return queue->AsyncNext(tag, ok, DeadlineIn(time - kPatience));
}

}  // namespace samovar
