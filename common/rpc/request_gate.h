// RequestGate bounds the memory that calls can make a server hold before it parses them: how many are being worked on
// at a time, and the bytes of their requests, of one and of all together.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/telemetry/metrics.h"

namespace samovar {

class RequestGate {
 public:
  struct Options {
    int max_requests = 128;
    // The longest request, as it came. Parsed, a message may take many times as much.
    uint64_t max_request_bytes = uint64_t{32} << 20;
    uint64_t max_total_bytes = uint64_t{64} << 20;
  };

  // A request is inside until it is destroyed. The gate outlives it.
  class Pass {
   public:
    Pass(RequestGate* gate, uint64_t bytes) : gate_(gate), bytes_(bytes) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), bytes_(other.bytes_) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave(bytes_);
    }

   private:
    RequestGate* gate_;
    const uint64_t bytes_;
  };

  // `refused` counts the requests that are not let in, and outlives this; may be null.
  explicit RequestGate(const Options& options, MetricCounter* refused = nullptr)
      : options_(options), refused_(refused) {}

  // RESOURCE_EXHAUSTED: the message says which bound is in the way.
  absl::StatusOr<Pass> Enter(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // OK: the request is let in.
  absl::Status Admit(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  MetricCounter* const refused_;
  absl::Mutex mu_;
  int requests_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace samovar
