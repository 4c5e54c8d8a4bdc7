// How a push changes weights: the arithmetic of Caffe's solvers, and of statistics that are averaged, over plain spans.
// Knows no chunks, locks or messages.
//
// A new solver is a new SolverRule in a file of its kind (momentum_rules.cc, adaptive_rules.cc, adam_rule.cc), declared
// in solver_rules.h and named in solver_rule.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// Floats [begin, end) of a chunk that are updated alike.
struct RuleSegment {
  uint32_t begin = 0;
  uint32_t end = 0;
  float lr_mult = 1;
  float decay_mult = 1;
  v1::UpdateRule rule = v1::UPDATE_RULE_SOLVER;
  // For UPDATE_RULE_MOVING_AVERAGE, which has no use for the multipliers.
  float moving_average_fraction = 0;
};

// Thread safety: immutable; Apply may run on many threads, each with spans of its own.
class SolverRule {
 public:
  // INVALID_ARGUMENT names the solver's field: there is no such type, a hyper-parameter is out of range, or the
  // learning-rate policy is wrong (CheckLearningRate). Fields that a worker obeys before it pushes a gradient
  // (clip_gradients, iter_size) are not looked at.
  static absl::StatusOr<std::unique_ptr<const SolverRule>> Create(const caffe::SolverParameter& solver);

  virtual ~SolverRule() = default;

  // Vectors of history that the rule keeps, each as long as the weights; zero at the start. 1 or 2.
  virtual int state_vectors() const = 0;

  // Where the weights are going: if `updates` more updates came with gradients of zero, they would have moved by minus
  // this times the first state vector. 0 for rules without momentum.
  virtual float LookaheadFactor(double updates) const {
    static_cast<void>(updates);
    return 0;
  }

  // Applies iteration t's gradient to one segment. `weights`, `gradient` and each of `state` are a whole chunk's
  // vectors. Iterations may come in any order: rates and corrections are those of t.
  // REQUIRES: the segment lies within them, its rule is UPDATE_RULE_SOLVER, state.size() == state_vectors(), and
  // `gradient` overlaps none of the others.
  virtual void Apply(uint64_t t, const RuleSegment& segment, std::span<float> weights,
                     std::span<const std::span<float>> state, std::span<const float> gradient) const = 0;

  // Moves one segment by the displacement d of a worker's own steps, rates and decay included, times `factor`. With
  // momentum m and history h:
  //   h <- m h + factor d
  //   w <- w - h
  // so that momentum, which those steps lack, goes on from push to push. REQUIRES: as Apply, and the solver's type is
  // SGD
  virtual void ApplyDisplacement(float factor, const RuleSegment& segment, std::span<float> weights,
                                 std::span<const std::span<float>> state,
                                 std::span<const float> displacement) const = 0;
};

// Merges pushed statistics into one segment:
//   w <- f * w + pushed,  f = the segment's moving_average_fraction
// A value that would overflow stays at the largest float: finite statistics make no infinity of the model's.
// REQUIRES: the segment lies within the spans, which do not overlap, and its rule is UPDATE_RULE_MOVING_AVERAGE.
void MergeStatistics(const RuleSegment& segment, std::span<float> weights, std::span<const float> pushed);

// Whether no value is NaN or infinite.
bool AllFinite(std::span<const float> values);

}  // namespace samovar
