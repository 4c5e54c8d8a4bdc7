// PastWeights keeps the weights that a chunk last gave to workers, by version: delay compensation needs the weights
// that a late gradient was computed from.
//
// A ring of a few versions for all workers, instead of a copy for each: a server does not know workers, and versions
// are bounded while workers come and go. A gradient of a version that is not kept any more is not compensated.
//
// Thread safety: none; as the chunk that it belongs to.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace samovar {

class PastWeights {
 public:
  // Versions kept. With N workers a push is N - 1 versions late as a rule.
  static constexpr size_t kVersions = 16;

  // Keeps `floats` floats that begin at `weights`, which need not be aligned, in the place of the version kept longest.
  // Nothing to do if this version is kept: between two updates everybody is given the same.
  void Keep(uint64_t version, const char* weights, size_t floats);

  // Empty: not kept.
  std::span<const float> Find(uint64_t version) const;

 private:
  struct Entry {
    uint64_t version = 0;
    // Empty: of no version.
    std::vector<float> weights;
  };
  std::array<Entry, kVersions> entries_;
  // The entry to be replaced next.
  size_t next_ = 0;
};

// Replaces a late gradient g, value by value, by
//   g + lambda g g (w - v),  v being the weights that it was computed from, w those that it is applied to,
// the gradient at w to first order, with lambda g g in the place of the second derivative (Zheng et al., "Asynchronous
// stochastic gradient descent with delay compensation", ICML 2017, DC-ASGD-c). REQUIRES: equal lengths
std::vector<float> CompensateDelay(float lambda, std::span<const float> gradient, std::span<const float> weights,
                                   std::span<const float> pulled);

}  // namespace samovar
