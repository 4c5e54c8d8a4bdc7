// MemoryBudget bounds the memory that peers can make a server hold: jobs and frozen copies, requests and answers
// reserve their bytes before they allocate.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/telemetry/metrics.h"

namespace samovar {

class MemoryBudget {
 public:
  // Gives its bytes back when it is destroyed. The budget outlives it.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(MemoryBudget* budget, uint64_t bytes) : budget_(budget), bytes_(bytes) {}
    Reservation(Reservation&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Reservation() {
      if (budget_ != nullptr) budget_->Release(bytes_);
    }

   private:
    MemoryBudget* budget_ = nullptr;
    uint64_t bytes_ = 0;
  };

  // `purpose`: "parameters"; `advice`: what to do when there is nothing left. `refused` counts refused reservations,
  // and outlives this; may be null.
  MemoryBudget(uint64_t limit_bytes, std::string purpose, std::string advice, MetricCounter* refused = nullptr)
      : limit_(limit_bytes), purpose_(std::move(purpose)), advice_(std::move(advice)), refused_(refused) {}

  // RESOURCE_EXHAUSTED: less is left than asked for.
  absl::StatusOr<Reservation> Reserve(uint64_t bytes) {
    absl::MutexLock lock(&mu_);
    if (bytes > limit_ - used_) {
      if (refused_ != nullptr) refused_->Increment();
      return absl::ResourceExhaustedError(absl::StrCat(bytes, " bytes are needed, but ", used_, " of this server's ",
                                                       limit_, " bytes for ", purpose_, " are in use; ", advice_));
    }
    used_ += bytes;
    return Reservation(this, bytes);
  }

  // Bytes that are reserved.
  uint64_t used() const {
    absl::MutexLock lock(&mu_);
    return used_;
  }

 private:
  void Release(uint64_t bytes) {
    absl::MutexLock lock(&mu_);
    used_ -= bytes;
  }

  const uint64_t limit_;
  const std::string purpose_;
  const std::string advice_;
  MetricCounter* const refused_;
  mutable absl::Mutex mu_;
  uint64_t used_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace samovar
