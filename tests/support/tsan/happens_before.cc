// Tells ThreadSanitizer of the order that system libraries establish, which it cannot see: they are not instrumented.
//
// Abseil's mutexes and gRPC's completion queues are where our threads meet, and a few counts of who holds what. This
// file defines functions with the names of theirs, which is what the loader then binds everyone to, gRPC itself
// included; each says what happens before what and calls the library's own. Without it every access under an
// absl::Mutex would be reported; a suppression of those would hide our own races.
//
// Linked into test programs of builds with -fsanitize=thread, and itself compiled without.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <sanitizer/tsan_interface.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

extern "C" const char* __tsan_default_options() {
  return "suppressions=" SAMOVAR_TSAN_SUPPRESSIONS ":second_deadlock_stack=1";
}

namespace {

// The function that the loader would have found without this file: that of the library.
template <typename Function>
Function OfLibrary(Function ours) {
  void* address = nullptr;
  std::memcpy(&address, &ours, sizeof(address));
  Dl_info info;
  // The name with all that the distribution's Abseil adds to it.
  if (dladdr(address, &info) == 0 || info.dli_sname == nullptr) std::abort();
  void* const found = dlsym(RTLD_NEXT, info.dli_sname);
  if (found == nullptr || found == address) std::abort();
  Function function = ours;
  std::memcpy(&function, &found, sizeof(found));
  return function;
}

// A condition is also asked by the thread that unlocks the mutex, after it has said so here, and by the waiting thread
// before Await returns.
class OrderedCondition {
 public:
  OrderedCondition(absl::Mutex* mutex, const absl::Condition* condition)
      : mutex_(mutex), asked_(condition), condition_(this, &OrderedCondition::Eval) {}
  const absl::Condition& condition() const { return condition_; }

 private:
  bool Eval() const {
    __tsan_acquire(mutex_);
    const bool holds = asked_->Eval();
    __tsan_release(mutex_);
    return holds;
  }

  absl::Mutex* const mutex_;
  const absl::Condition* const asked_;
  const absl::Condition condition_;
};

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto lock = OfLibrary(&Mutex::Lock);
  (this->*lock)();
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static const auto try_lock = OfLibrary(&Mutex::TryLock);
  const bool locked = (this->*try_lock)();
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Unlock() {
  static const auto unlock = OfLibrary(&Mutex::Unlock);
  __tsan_release(this);
  (this->*unlock)();
}

void Mutex::ReaderLock() {
  static const auto lock = OfLibrary(&Mutex::ReaderLock);
  (this->*lock)();
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  static const auto unlock = OfLibrary(&Mutex::ReaderUnlock);
  __tsan_release(this);
  (this->*unlock)();
}

void Mutex::Await(const Condition& condition) {
  static const auto await = OfLibrary(&Mutex::Await);
  const OrderedCondition ordered(this, &condition);
  __tsan_release(this);
  (this->*await)(ordered.condition());
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto await = OfLibrary(&Mutex::AwaitWithTimeout);
  const OrderedCondition ordered(this, &condition);
  __tsan_release(this);
  const bool holds = (this->*await)(ordered.condition(), timeout);
  __tsan_acquire(this);
  return holds;
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static const auto await = OfLibrary(&Mutex::AwaitWithDeadline);
  const OrderedCondition ordered(this, &condition);
  __tsan_release(this);
  const bool holds = (this->*await)(ordered.condition(), deadline);
  __tsan_acquire(this);
  return holds;
}

void CondVar::Wait(Mutex* mutex) {
  static const auto wait = OfLibrary(&CondVar::Wait);
  __tsan_release(mutex);
  (this->*wait)(mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto wait = OfLibrary(&CondVar::WaitWithTimeout);
  __tsan_release(mutex);
  const bool timed_out = (this->*wait)(mutex, timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto wait = OfLibrary(&CondVar::WaitWithDeadline);
  __tsan_release(mutex);
  const bool timed_out = (this->*wait)(mutex, deadline);
  __tsan_acquire(mutex);
  return timed_out;
}

void Notification::Notify() {
  static const auto notify = OfLibrary(&Notification::Notify);
  __tsan_release(this);
  (this->*notify)();
}

void Notification::WaitForNotification() const {
  static const auto wait = OfLibrary(&Notification::WaitForNotification);
  (this->*wait)();
  __tsan_acquire(const_cast<Notification*>(this));
}

// Statuses share their text and count its owners: each release of it happens before the last one, which
// frees it.
void Status::UnrefNonInlined(uintptr_t text) {
  static const auto unref = OfLibrary(&Status::UnrefNonInlined);
  __tsan_release(reinterpret_cast<void*>(text));
  __tsan_acquire(reinterpret_cast<void*>(text));
  unref(text);
}

ABSL_NAMESPACE_END
}  // namespace absl

// The beginning of an operation under a tag happens before the tag's event is taken out of the queue. Below the C
// interface the tag is an object of gRPC's own; an alarm's has only the user's.

namespace grpc {

void Alarm::SetInternal(CompletionQueue* queue, gpr_timespec deadline, void* tag) {
  static const auto set =
      OfLibrary(static_cast<void (Alarm::*)(CompletionQueue*, gpr_timespec, void*)>(&Alarm::SetInternal));
  __tsan_release(tag);
  (this->*set)(queue, deadline, tag);
}

CompletionQueue::NextStatus CompletionQueue::AsyncNextInternal(void** tag, bool* ok, gpr_timespec deadline) {
  static const auto next = OfLibrary(&CompletionQueue::AsyncNextInternal);
  const NextStatus status = (this->*next)(tag, ok, deadline);
  if (status == GOT_EVENT) __tsan_acquire(*tag);
  return status;
}

}  // namespace grpc

extern "C" grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* operations, size_t count, void* tag,
                                                 void* reserved) {
  static const auto start = OfLibrary(&grpc_call_start_batch);
  __tsan_release(tag);
  return start(call, operations, count, tag, reserved);
}

extern "C" grpc_call_error grpc_server_request_call(grpc_server* server, grpc_call** call, grpc_call_details* details,
                                                    grpc_metadata_array* metadata, grpc_completion_queue* bound,
                                                    grpc_completion_queue* notified, void* tag) {
  static const auto request = OfLibrary(&grpc_server_request_call);
  __tsan_release(tag);
  return request(server, call, details, metadata, bound, notified, tag);
}

extern "C" grpc_call_error grpc_server_request_registered_call(grpc_server* server, void* method, grpc_call** call,
                                                               gpr_timespec* deadline, grpc_metadata_array* metadata,
                                                               grpc_byte_buffer** payload, grpc_completion_queue* bound,
                                                               grpc_completion_queue* notified, void* tag) {
  static const auto request = OfLibrary(&grpc_server_request_registered_call);
  __tsan_release(tag);
  return request(server, method, call, deadline, metadata, payload, bound, notified, tag);
}

extern "C" grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline, void* reserved) {
  static const auto next = OfLibrary(&grpc_completion_queue_next);
  const grpc_event event = next(queue, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

extern "C" grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag, gpr_timespec deadline,
                                                  void* reserved) {
  static const auto pluck = OfLibrary(&grpc_completion_queue_pluck);
  const grpc_event event = pluck(queue, tag, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(tag);
  return event;
}

// Each release of a slice happens before the last one, which frees it: slices of several messages may lie in one buffer
// that was received.
extern "C" void grpc_slice_unref(grpc_slice slice) {
  static const auto unref = OfLibrary(&grpc_slice_unref);
  // Small slices have no count, and those that live for ever one that is not an address.
  if (reinterpret_cast<uintptr_t>(slice.refcount) > 1) {
    __tsan_release(slice.refcount);
    __tsan_acquire(slice.refcount);
  }
  unref(slice);
}
