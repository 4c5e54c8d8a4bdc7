// The arithmetic that stands between backward passes and a push: the sum over an iteration's parts (iter_size), and
// clip_gradients. In Caffe's order: sum, clip the sum, divide by the number of parts.
//
// Statistics (UPDATE_RULE_MOVING_AVERAGE) are no gradients: they do not count in the norm and are not divided; those of
// later parts are merged with those before as the server merges them.
#pragma once

#include <span>
#include <vector>

#include "samovar/v1/layout.pb.h"

namespace samovar {

// Thread safety: one thread at a time.
class GradientSum {
 public:
  // Allocates layout.elements() floats.
  explicit GradientSum(const v1::ParameterLayout& layout);

  // The first part replaces the old values. REQUIRES: layout.elements() floats
  void Add(std::span<const float> gradients, bool first);
  std::span<float> values() { return values_; }

 private:
  const v1::ParameterLayout layout_;
  std::vector<float> values_;
};

// Scales the gradients down if their L2 norm exceeds `limit`, then divides them by `parts`, as gradient_clip.h says.
void ClipAndAverage(const v1::ParameterLayout& layout, float limit, int parts, std::span<float> gradients);

}  // namespace samovar
