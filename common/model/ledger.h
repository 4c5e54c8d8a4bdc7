// Ledger is a set of iterations: which updates a chunk has applied. All below a watermark, and a few ranges beyond it.
//
// Thread safety: as a standard container.
// Invariants:
//   (1) ranges_ are disjoint, ascending, not empty, and do not touch: neighbours leave at least one iteration
//       between them.
//   (2) every range begins above watermark_ (one that begins at it would have been merged into it).
// So two ledgers that hold the same iterations compare equal, and their messages are equal too.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "samovar/v1/parameter.pb.h"

namespace samovar {

// begin, begin + 1, ..., end - 1; empty if begin >= end.
struct IterationRange {
  uint64_t begin = 0;
  uint64_t end = 0;

  friend bool operator==(const IterationRange&, const IterationRange&) = default;
};

class Ledger {
 public:
  // Largest `end` that a ledger takes; far above any max_iter. Keeps t + 1 from overflowing.
  static constexpr uint64_t kMaxEnd = uint64_t{1} << 62;

  // INVALID_ARGUMENT: the ranges break an invariant or end above kMaxEnd; the message names the range.
  static absl::StatusOr<Ledger> FromProto(const v1::Ledger& message);
  v1::Ledger ToProto() const;

  // O(log n) in the number of ranges.
  bool Contains(uint64_t t) const;

  // Adds t. Returns false, and changes nothing, if it is held already. O(log n). REQUIRES: t < kMaxEnd
  bool Add(uint64_t t);

  // Adds the iterations of [begin, end) that are not held yet. REQUIRES: end <= kMaxEnd
  void AddRange(uint64_t begin, uint64_t end);

  // Adds all that the other ledger holds.
  void Merge(const Ledger& other);

  // The iterations of [begin, end) that are not held: ascending, disjoint, as few ranges as possible.
  std::vector<IterationRange> Missing(uint64_t begin, uint64_t end) const;

  // The lowest iteration that is not held.
  uint64_t watermark() const { return watermark_; }
  // The iterations that are held above the watermark, ascending.
  std::vector<IterationRange> beyond() const;
  // Number of ranges beyond the watermark.
  size_t beyond_ranges() const { return ranges_.size(); }
  // Number of iterations held.
  uint64_t size() const { return size_; }

  friend bool operator==(const Ledger&, const Ledger&) = default;

 private:
  uint64_t watermark_ = 0;
  // begin -> end
  std::map<uint64_t, uint64_t> ranges_;
  uint64_t size_ = 0;
};

}  // namespace samovar
