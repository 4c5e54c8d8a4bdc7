// PartSum adds up the parts of one iteration's gradient for one chunk, in the order of their numbers, not in that of
// their arrival: float sums depend on the order, and the model must not depend on which part was faster.
//
// A running sum of the parts from 0 without a gap, and copies of those that came early: at most as many vectors as
// there are parts.
//
// Finite parts have a finite mean, however large they are: before a sum could overflow, it and all that is added to it
// are scaled down by a power of two, which costs no accuracy but that of the smallest floats. So it does not happen
// that one chunk drops an iteration, because its sum is infinite, which other chunks apply. Sums that cannot overflow
// are plain float sums.
//
// Thread safety: none; as the chunk that it belongs to.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "server/solver/solver_rule.h"

namespace samovar {

class PartSum {
 public:
  // REQUIRES: parts >= 1
  explicit PartSum(uint32_t parts) : parts_(parts) {}

  bool Holds(uint32_t part) const { return part < next_ || early_.contains(part); }

  // Gradients are added. Statistics (UPDATE_RULE_MOVING_AVERAGE) are merged with those of the parts before, as the
  // chunk merges them: s <- f s + pushed. REQUIRES: !Holds(part), part < parts, and `segments` cover the gradient
  void Add(uint32_t part, std::span<const float> gradient, const std::vector<RuleSegment>& segments);

  // The part has no gradient, and so the iteration has none. REQUIRES: as Add
  void Skip(uint32_t part);

  bool complete() const { return next_ == parts_; }
  // Whether a part was skipped: then there is no mean.
  bool skipped() const { return skipped_; }

  // The gradient of the whole batch's mean, which is the mean of the parts', and the merged statistics. Leaves the sum
  // empty. REQUIRES: complete(), !skipped()
  std::vector<float> TakeMean(const std::vector<RuleSegment>& segments);

  // Leaves the sum empty.
  void Clear();

 private:
  void AddNext(std::span<const float> gradient, const std::vector<RuleSegment>& segments);
  // Scales the sum down if it could overflow with the part.
  void MakeRoom(std::span<const float> gradient, const std::vector<RuleSegment>& segments);

  const uint32_t parts_;
  // Parts in the sum.
  uint32_t next_ = 0;
  bool skipped_ = false;
  std::vector<float> sum_;
  // The sum is of so much of each part: 1, or a power of two below 1 / parts_.
  float scale_ = 1;
  // Not less than any magnitude in the plain sum.
  double bound_ = 0;
  std::map<uint32_t, std::vector<float>> early_;
};

}  // namespace samovar
