// Outbox collects what a worker has done until the coordinator has heard of it.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "samovar/v1/coordinator.pb.h"

namespace samovar {

class Outbox {
 public:
  // Results beyond these are dropped, oldest first, while the coordinator cannot be reached: it leases what it did not
  // hear of again, and the servers drop what they have.
  static constexpr int kMaxResults = 4096;
  // What a report holds at most, but for its first result: far below what a request may have.
  static constexpr size_t kMaxReportBytes = 4 << 20;

  void Add(v1::TrainResult result);
  void Add(v1::TestResult result);
  void Add(v1::WorkFailure failure);

  // The oldest of what was not taken yet, as much as a report holds. If it does not arrive, PutBack: it goes before what
  // came since. What was taken before a Begin does not come back: the coordinator that leased it is no more.
  v1::WorkerReport Take();
  // More is here than a report holds.
  bool Overfull() const;
  void PutBack(v1::WorkerReport report);
  // What comes from now on was leased by the coordinator of this epoch; what is there from before is dropped.
  void Begin(uint64_t epoch);

 private:
  mutable absl::Mutex mu_;
  // Its epoch is that of the coordinator.
  v1::WorkerReport report_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
