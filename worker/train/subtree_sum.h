// SubtreeSum adds up the parts of a subtree that a worker holds, in the order of their tree
// (common/model/part_sum.h): part after part, and the last one layer by layer while its backward pass is under way, so
// that the sum leaves with it.
//
// Keeps a vector for each half that waits for the other one: k of a subtree of 2^k parts.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/part_sum.h"
#include "common/model/part_tree.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

class SubtreeSum {
 public:
  // `layout`: the job's.
  explicit SubtreeSum(const v1::ParameterLayout& layout)
      : elements_(layout.elements()), statistics_(StatisticRangesOf(layout)) {}

  // The gradient of each part of a subtree but the last one, in their order: the first begins a new sum. REQUIRES, here
  // and below: layout.elements() floats, and a subtree of more than one part
  void Add(uint32_t part, bool first, std::span<const float> gradients);
  // Floats [begin, end) of the last part's gradient, each once: those of the sum are final.
  void AddLast(uint32_t part, std::span<const float> gradients, uint64_t begin, uint64_t end);
  // The whole subtree's values, valid until the next Add.
  std::span<const float> values() const { return {halves_.front().values.data(), elements_}; }

 private:
  struct Half {
    PartRange range;
    std::vector<float> values;
  };

  const uint64_t elements_;
  const std::vector<StatisticRange> statistics_;
  // The first `waiting_` of these wait for their right halves, the largest first; others are kept for their memory.
  std::vector<Half> halves_;
  size_t waiting_ = 0;
};

}  // namespace samovar
