// How a gradient changes weights: the arithmetic of Caffe's solvers over plain spans. Knows no chunks, locks or
// messages.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "caffe.pb.h"

namespace samovar {

// Floats [begin, end) of a chunk that share one blob's multipliers.
struct RuleSegment {
  uint32_t begin = 0;
  uint32_t end = 0;
  float lr_mult = 1;
  float decay_mult = 1;
};

// Thread safety: immutable; Apply may run on many threads, each with spans of its own.
class SolverRule {
 public:
  // INVALID_ARGUMENT or UNIMPLEMENTED names the solver's field: the type is not offered, a hyper-parameter is out of
  // range, the learning-rate policy is wrong (CheckLearningRate), or a setting needs what a server does not see (the
  // whole gradient's norm).
  static absl::StatusOr<std::unique_ptr<const SolverRule>> Create(const caffe::SolverParameter& solver);

  virtual ~SolverRule() = default;

  // Vectors of history that the rule keeps, each as long as the weights; zero at the start.
  virtual int state_vectors() const = 0;

  // Where the weights are going: if `updates` more updates came with gradients of zero, they would have moved by minus this times
  // the first state vector. 0 for rules without momentum.
  virtual float LookaheadFactor(double updates) const {
    static_cast<void>(updates);
    return 0;
  }

  // Applies iteration t's gradient to one segment. `weights`, `gradient` and each of `state` are a whole chunk's
  // vectors.
  // REQUIRES: the segment lies within them, state.size() == state_vectors(), and `gradient` overlaps none of the others.
  virtual void Apply(uint64_t t, const RuleSegment& segment, std::span<float> weights,
                     std::span<const std::span<float>> state, std::span<const float> gradient) const = 0;
};

// Whether no value is NaN or infinite.
bool AllFinite(std::span<const float> values);

}  // namespace samovar
