// SkippedIterations is the set of a job's iterations that have no update in one chunk or more, though they are done:
// their loss or gradient was not finite.
//
// The newest kMaxRanges ranges are known one by one. Older iterations are counted, and stay counted until the job has
// gone back to its beginning.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/model/ledger.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

class SkippedIterations {
 public:
  static constexpr size_t kMaxRanges = 10000;

  // Those of an earlier coordinator: so many, these among them. If the message is damaged they are only counted.
  void Restore(uint64_t count, const v1::Ledger& known);
  void Add(uint64_t iteration);
  // Only iterations in `done` stay: the others are computed again, and are skipped once they are skipped again.
  void KeepOnly(const Ledger& done);

  uint64_t count() const { return older_ + known_.size(); }
  v1::Ledger ToProto() const { return known_.ToProto(); }

 private:
  // Counts the older half of the ranges, if there are too many.
  void Bound();

  Ledger known_;
  uint64_t older_ = 0;
};

}  // namespace samovar
