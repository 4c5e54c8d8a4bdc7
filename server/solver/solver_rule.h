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
#include "server/solver/lateness.h"

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

  // Whether the rule has no momentum that could be made longer, and keeps a further vector where gradients are late:
  // Lateness.steps.
  virtual bool spreads_steps() const = 0;

  // lateness.h, of this rule.
  virtual Stretch StretchFor(double staleness) const = 0;

  // Applies iteration t's gradient to one segment. `weights`, `gradient` and each of `state` are a whole chunk's
  // vectors. Iterations may come in any order: rates and corrections are those of t.
  // `late` says how late it usually is; `steps` are as long as the weights if it is and spreads_steps().
  // REQUIRES: the segment lies within them, its rule is UPDATE_RULE_SOLVER, state.size() == state_vectors(), and
  // `gradient` overlaps none of the others.
  virtual void Apply(uint64_t t, const RuleSegment& segment, std::span<float> weights,
                     std::span<const std::span<float>> state, std::span<const float> gradient,
                     const LateStep& late = {}, std::span<float> steps = {}) const = 0;

  // Moves one segment by the displacement d of a worker's own steps, rates and decay included. With momentum m and
  // history h:
  //   h <- m h + d
  //   w <- w - h
  // so that momentum, which those steps lack, goes on from push to push; where it is late, as lateness.h says with d in
  // the place of a g. REQUIRES: as Apply, and the solver's type is SGD
  virtual void ApplyDisplacement(const RuleSegment& segment, std::span<float> weights,
                                 std::span<const std::span<float>> state, std::span<const float> displacement,
                                 const LateStep& late = {}) const = 0;

  // Writes one segment's weights as they are pulled where pushes are so late, as floats of the machine, to the
  // segment's place in a chunk's that begin at `to`, which need not be aligned. `t` is the newest iteration.
  // REQUIRES: as Apply, staleness > 0
  virtual void WriteAhead(uint64_t t, double staleness, const RuleSegment& segment, std::span<float> weights,
                          std::span<const std::span<float>> state, std::span<float> steps, char* to) const = 0;
};

// Merges pushed statistics into one segment:
//   w <- f * w + pushed,  f = the segment's moving_average_fraction
// A value that would overflow stays at the largest float: finite statistics make no infinity of the model's.
// REQUIRES: the segment lies within the spans, which do not overlap, and its rule is UPDATE_RULE_MOVING_AVERAGE.
void MergeStatistics(const RuleSegment& segment, std::span<float> weights, std::span<const float> pushed);

// Whether no value is NaN or infinite.
bool AllFinite(std::span<const float> values);

}  // namespace samovar
