// PartSum adds up the parts of one iteration's gradient in the order of their tree (part_tree.h), in whatever order and
// in whatever subtrees they come. The vector is a whole gradient at a worker, and a chunk's at a server.
//
// The values of a subtree are the sum of its parts' gradients, divided by its places (a power of two): of 2^k parts the
// mean. So finite parts have finite values, however large they are, and no chunk drops an iteration, because its sum is
// infinite, that other chunks apply. The division costs no accuracy but that of the smallest floats.
//   of halves l with n places and r with m <= n places:   l / 2 + r m / (2 n)
// Statistics (UPDATE_RULE_MOVING_AVERAGE, fraction f) are merged as pushes one after the other would be:
//   of l and r with p parts:   f^p l + r
// A value that would overflow stays at the largest float. Where a part is not finite, no sum with it is.
//
// Thread safety: none; as the chunk, or the lease, that it belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "common/model/part_tree.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// Floats [begin, end) of a vector that are statistics.
struct StatisticRange {
  size_t begin = 0;
  size_t end = 0;
  // The blob's moving_average_fraction.
  float fraction = 0;
};

// Those of a layout, in order.
std::vector<StatisticRange> StatisticRangesOf(const v1::ParameterLayout& layout);

// Makes floats [begin, end) of a subtree's values those of the subtree that it is a half of. `sum` has the values of
// the one half, `added` those of the other; both begin at the vector's beginning. REQUIRES: the halves are siblings
// (SiblingOf); the statistics are in order
void AddHalf(const PartRange& added_half, const float* added, std::span<const StatisticRange> statistics, size_t begin,
             size_t end, const PartRange& sum_half, float* sum);

class PartSum {
 public:
  // REQUIRES: parts >= 1; the statistics are in order
  PartSum(uint32_t parts, std::vector<StatisticRange> statistics) : parts_(parts), statistics_(std::move(statistics)) {}

  // Whether all parts of the subtree are here. REQUIRES, here and below: IsSubtree(subtree, parts)
  bool Holds(const PartRange& subtree) const;

  // Takes a subtree's values. They replace those of its parts that are here already. Takes no memory but where nothing
  // is here yet that they are added to; with std::bad_alloc nothing is changed. REQUIRES: !Holds(subtree), and all
  // values are as many
  void Add(const PartRange& subtree, std::span<const float> values);

  // These parts have no gradient, and so the iteration has none. REQUIRES: as Add
  void Skip(const PartRange& subtree);

  bool complete() const { return nodes_.size() == 1 && nodes_.begin()->second.range.count == parts_; }
  // Whether a part was skipped: then there is no mean.
  bool skipped() const { return skipped_; }

  // The gradient of the whole batch's mean, which is the mean of the parts', and the merged statistics. Leaves the sum
  // empty. REQUIRES: complete(), !skipped()
  std::vector<float> TakeMean();

  // Leaves the sum empty.
  void Clear();

 private:
  struct Node {
    PartRange range;
    // Empty if parts are only counted, since one was skipped.
    std::vector<float> values;
  };
  using Nodes = std::map<uint32_t, Node>;

  // Adds siblings to the node as long as they are here. The map holds it again then.
  void Join(Nodes::node_type node);
  // The node of exactly this subtree, taken out. Empty: it is not here.
  Nodes::node_type Take(const PartRange& subtree);

  const uint32_t parts_;
  const std::vector<StatisticRange> statistics_;
  bool skipped_ = false;
  // By their first part: the largest subtrees all of whose parts are here.
  Nodes nodes_;
};

}  // namespace samovar
