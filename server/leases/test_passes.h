// TestPasses are the tests of one checkpoint, a pass for each test net of the job, and the leases of their slices.
//
// Without clock and threads: callers pass the time. Thread safety: none; guarded by its owner.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "samovar/v1/coordinator.pb.h"
#include "samovar/v1/job.pb.h"
#include "server/leases/test_pass.h"

namespace samovar {

class TestPasses {
 public:
  struct Lease {
    uint64_t id = 0;
    v1::TestSlice slice;
  };

  // Leases get the numbers above this one.
  explicit TestPasses(uint64_t last_lease) : next_lease_(last_lease + 1) {}

  // The weights of the iteration are frozen: its tests begin, shared by that many workers. REQUIRES: no tests go on
  void Begin(const v1::JobSpec& spec, uint64_t iteration, uint64_t workers);
  // All have their results, or none go on.
  bool complete() const;
  // Those that go on end, with results or without.
  void End();
  // They end without. Returns their iteration if some have no result.
  std::optional<uint64_t> Drop();

  // A slice that nobody holds in time; nothing: there is none.
  std::optional<Lease> Acquire(uint64_t worker, absl::Time now);
  void Renew(uint64_t worker, uint64_t lease, absl::Time now);
  // The effect of the result.
  struct News {
    // It was waited for.
    bool taken = false;
    // The pass that it completed.
    std::optional<v1::TestReport> report;
  };
  News Complete(const v1::TestResult& result, absl::Time now);
  // Slices that are given back for other workers.
  void Release(uint64_t lease);
  void ReleaseWorker(uint64_t worker);
  void ReleaseAll();
  void Expire(absl::Duration term, absl::Time now);

  bool Holds(uint64_t worker, uint64_t lease) const;
  std::vector<v1::TestSlice> SlicesOf(uint64_t worker) const;
  std::vector<std::pair<uint64_t, v1::TestSlice>> LeasedSlices() const;
  // The next one has at least this number.
  uint64_t next_lease() const { return next_lease_; }

  // As TrainLeases counts them, in slices, of all tests that there were.
  uint64_t releases() const { return releases_; }
  uint64_t speculative() const;
  uint64_t speculative_wasted() const;

 private:
  std::vector<TestPass> passes_;
  // The iteration that passes_ test.
  uint64_t iteration_ = 0;
  uint64_t next_lease_;
  uint64_t releases_ = 0;
  // Without those of passes_.
  uint64_t speculative_ = 0;
  uint64_t speculative_wasted_ = 0;
};

}  // namespace samovar
