// Outbox collects a worker's results until the coordinator has heard of them.
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
  // Results beyond these are dropped, oldest first, while the coordinator cannot be reached: it leases the iterations
  // again that it did not hear of, and the servers drop those that they have.
  static constexpr int kMaxResults = 4096;
  // The largest report, but for its first result: far below the largest request.
  static constexpr size_t kMaxReportBytes = 4 << 20;

  void Add(v1::TrainResult result);
  void Add(v1::TestResult result);
  void Add(v1::WorkFailure failure);

  // The oldest results that were not taken yet, as many as a report holds. If the report does not arrive, PutBack: they
  // go before those that came since. Results taken before a Begin do not come back: the coordinator that leased them is
  // no more.
  v1::WorkerReport Take();
  // More is here than a report holds.
  bool Overfull() const;
  void PutBack(v1::WorkerReport report);
  // Results from now on belong to leases of the coordinator of this epoch; those from before are dropped.
  void Begin(uint64_t epoch);

 private:
  mutable absl::Mutex mu_;
  // Its epoch is that of the coordinator.
  v1::WorkerReport report_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
