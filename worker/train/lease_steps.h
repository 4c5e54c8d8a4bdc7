// LeaseSteps is the work of a lease, one push after the other: subtree after subtree of an iteration's parts, iteration
// after iteration. An iteration that is not in parts is its own part 0.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <vector>

#include "common/model/part_tree.h"
#include "samovar/v1/coordinator.pb.h"

namespace samovar {

class LeaseSteps {
 public:
  struct Step {
    uint64_t t;
    PartRange subtree;
    // Other subtrees of the iteration come after it; other iterations do.
    bool more_subtrees;
    bool more_iterations;

    uint32_t last_part() const { return static_cast<uint32_t>(subtree.end() - 1); }
  };

  // `parts`: of each iteration of the job. REQUIRES: those of the lease ascend, and are below it
  LeaseSteps(const v1::WorkLease& lease, uint32_t parts)
      : range_(lease.train()),
        subtrees_(lease.parts().empty()
                      ? std::vector<PartRange>{PartRange()}
                      : SubtreesOf({lease.parts().data(), static_cast<size_t>(lease.parts_size())}, parts)) {}

  uint64_t size() const { return (range_.end() - range_.begin()) * subtrees_.size(); }
  Step at(uint64_t i) const {
    const uint64_t t = range_.begin() + i / subtrees_.size();
    const size_t place = i % subtrees_.size();
    return {t, subtrees_[place], place + 1 < subtrees_.size(), t + 1 < range_.end()};
  }

 private:
  const v1::IterationRange range_;
  const std::vector<PartRange> subtrees_;
};

}  // namespace samovar
