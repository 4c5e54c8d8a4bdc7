// PartShares deals the parts of an iteration to workers by their speed: so that they are done at the same time, as far
// as whole parts allow, and few sums are pushed.
//
// Shares are neighbours, in the order in which the workers are given. A share takes its worker as long as its parts do,
// and kPush parts more for each subtree of them (common/model/part_tree.h), whose sum it pushes; the shares are those
// whose slowest is the fastest. So workers that are about equally fast have aligned subtrees, and one that is far
// slower than the others may have nothing: then it has one part again after kRemember, to be measured.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/time/time.h"
#include "common/model/part_tree.h"

namespace samovar {

class PartShares {
 public:
  // The time of a push of a sum, in parts: LeNet's takes longer than its passes over 8 images, a large net's less.
  static constexpr double kPush = 0.5;
  // A speed that was measured so long ago may be another one by now.
  static constexpr absl::Duration kRemember = absl::Seconds(30);

  // A part took the worker so long. A time that no worker can have measured is passed over.
  void Count(uint64_t worker, absl::Duration part, absl::Time now);
  void Forget(uint64_t worker) { speeds_.erase(worker); }

  // Each part once. Workers without a part are not in it. A worker whose speed is not known counts as one in the middle
  // of the others. REQUIRES: workers is not empty and each is there once, parts > 0
  std::map<uint64_t, PartRange> Deal(const std::vector<uint64_t>& workers, uint32_t parts, absl::Time now) const;

  // Zero: it is not known.
  absl::Duration PartTimeForTesting(uint64_t worker) const;

 private:
  struct Speed {
    double seconds_a_part = 0;
    absl::Time measured = absl::InfinitePast();
    // Measurements since it was measured anew.
    uint64_t parts = 0;
  };

  // For a part: the median of those that are known.
  double UsualSeconds(const std::vector<uint64_t>& workers) const;

  std::map<uint64_t, Speed> speeds_;
};

}  // namespace samovar
