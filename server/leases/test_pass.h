// TestPass tests one frozen copy of the weights on the records of a test: slices of them go to workers, their sums come
// back, each slice counts once. A slice whose holder is late (train_leases.h) goes to another worker when nothing else
// is left; the first result counts. A state machine without clock or threads. Thread safety: none; guarded by its
// owner.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/model/test_plan.h"
#include "samovar/v1/coordinator.pb.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

class TestPass {
 public:
  // `net`: the test net's number. `workers`: how many share the work; the slices are several for each, of whole
  // batches. REQUIRES: range.count > 0, batch_size > 0
  TestPass(uint64_t frozen_iteration, uint32_t net, const TestedRange& range, uint32_t batch_size,
           const v1::NetOutputs& outputs, uint64_t workers);

  // The next slice that nobody holds in time, if any, under the given lease.
  std::optional<v1::TestSlice> Acquire(uint64_t lease_id, uint64_t worker, absl::Time now);
  void Renew(uint64_t worker, uint64_t lease_id, absl::Time now);
  // Whether the result was one that this pass waited for.
  bool Complete(const v1::TestResult& result, absl::Time now);
  // Slices that are given back for another worker. Returns how many.
  int Release(uint64_t lease_id);
  int ReleaseWorker(uint64_t worker);
  int ReleaseAll();
  int Expire(absl::Duration term, absl::Time now);

  bool complete() const { return missing_ == 0; }
  // As TrainLeases counts them, in slices.
  uint64_t speculative() const { return speculative_; }
  uint64_t speculative_wasted() const { return speculative_wasted_; }
  std::vector<v1::TestSlice> SlicesOf(uint64_t worker) const;
  // Those that are leased, with their workers.
  std::vector<std::pair<uint64_t, v1::TestSlice>> LeasedSlices() const;
  bool Holds(uint64_t worker, uint64_t lease_id) const;
  // Means over all records. REQUIRES: complete()
  v1::TestReport Report() const;

 private:
  struct Slice {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool done = false;
    // 0: not leased.
    uint64_t lease_id = 0;
    uint64_t worker = 0;
    absl::Time granted;
    absl::Time renewed;
    // The lease of the holder that was late; 0: none.
    uint64_t late_lease_id = 0;
  };
  bool Late(const Slice& slice, absl::Time now) const;
  v1::TestSlice Grant(Slice* slice, uint64_t lease_id, uint64_t worker, absl::Time now) const;
  v1::TestSlice MessageOf(const Slice& slice) const;

  const uint64_t frozen_iteration_;
  const uint32_t net_;
  const uint64_t records_;
  const v1::NetOutputs outputs_;
  std::vector<Slice> slices_;
  size_t missing_;
  std::vector<double> sums_;
  // The longest that a slice has taken.
  absl::Duration longest_;
  uint64_t speculative_ = 0;
  uint64_t speculative_wasted_ = 0;
};

}  // namespace samovar
