// EventQueue is a gRPC completion queue that a thread serves at all times: the caller itself while it waits for the
// result of events, since to wake it for each would take longer than to handle them; otherwise a thread of the queue's
// own.
//
// Thread safety: all methods may be called from any thread, ServeUntil by one at a time.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/steady_condition.h"

namespace samovar {

class EventQueue {
 public:
  // Called for each event, by the thread that serves. What it throws is logged, and ends there: the handler is to have
  // left whole what others look at, and to be called again for it by a later event.
  using Handler = void (*)(void* tag, bool ok);

  explicit EventQueue(Handler handler);
  // REQUIRES: nothing is under way on the queue, and nothing will be begun.
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  grpc::CompletionQueue* queue() { return &queue_; }

  // Serves on the calling thread until done(), which is asked after each event, or until the time is over.
  void ServeUntil(absl::FunctionRef<bool()> done, absl::Duration time) ABSL_LOCKS_EXCLUDED(mu_);
  // Handles the events that have come so far, on the calling thread. The caller will be busy with other things then,
  // but something is under way: if it does not come back here or to ServeUntil within two milliseconds, the own thread
  // takes over until the next ServeUntil. Without this it takes over a tenth of a second after the last ServeUntil.
  void Poll() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run();
  void Handle(void* tag, bool ok) noexcept;
  void ServeOnThreadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ThreadRestsLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !thread_serves_; }

  const Handler handler_;
  grpc::CompletionQueue queue_;

  absl::Mutex mu_;
  // ending_ has become true; that or wanted_ has.
  SteadyCondition ended_;
  SteadyCondition awaited_;
  bool caller_serves_ ABSL_GUARDED_BY(mu_) = false;
  bool thread_serves_ ABSL_GUARDED_BY(mu_) = false;
  // An event is under way that no caller waits for yet.
  bool wanted_ ABSL_GUARDED_BY(mu_) = false;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  // How often a caller has come.
  uint64_t turns_ ABSL_GUARDED_BY(mu_) = 0;
  // While the thread serves: its event, whose tag is its address, fetches the thread out of the queue.
  std::optional<grpc::Alarm> relief_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace samovar
