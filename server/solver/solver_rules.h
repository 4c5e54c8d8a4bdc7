// The rules that SolverRule::Create chooses from, and their common base.
//
// In their formulas: a = rate(t) * lr_mult; m = momentum; g is the gradient with its decay,
//   g <- g + weight_decay * decay_mult * w        (L2; sign(w) instead of w with L1; left out if the factor is 0)
// and u is the update, w <- w - u. Where gradients are late (lateness.h), the gradient is cut before its decay, a is
// multiplied by the warm-up r, m is the longer momentum m', and u is multiplied by q = M0 / M. Where they are not, r
// and q are 1, which changes no bit. All arithmetic is in float, operation by operation in the order that Caffe's
// passes over its blobs have, without fused multiply-add. So the numbers are Caffe's own.
#pragma once

#include <memory>

#include "caffe.pb.h"
#include "common/model/weight_decay.h"
#include "server/solver/solver_rule.h"

namespace samovar {

// One segment's arrays; `state` has as many as the rule keeps.
struct SegmentPass {
  size_t count = 0;
  // rate(t) * lr_mult
  float rate = 0;
  Decay decay_kind = Decay::kNone;
  // weight_decay * decay_mult
  float decay = 0;
  float* weights = nullptr;
  float* state[2] = {nullptr, nullptr};
  // Null: steps are not spread.
  float* steps = nullptr;
  const float* gradient = nullptr;
  // The gradient is multiplied by it.
  float cut = 1;
  // Whether pushes are late.
  bool late = false;
  Stretch stretch;
};

// A rule with the settings that all solvers have. Derived classes define one pass.
class CaffeRule : public SolverRule {
 public:
  explicit CaffeRule(const caffe::SolverParameter& solver);

  void Apply(uint64_t t, const RuleSegment& segment, std::span<float> weights, std::span<const std::span<float>> state,
             std::span<const float> gradient, const LateStep& late, std::span<float> steps) const final;
  void ApplyDisplacement(const RuleSegment& segment, std::span<float> weights, std::span<const std::span<float>> state,
                         std::span<const float> displacement, const LateStep& late) const final;
  void WriteAhead(uint64_t t, double staleness, const RuleSegment& segment, std::span<float> weights,
                  std::span<const std::span<float>> state, std::span<float> steps, char* to) const final;

 protected:
  virtual void Run(uint64_t t, const SegmentPass& pass) const = 0;
  // Writes w - k q h to pass.count floats at `to`: h is the first vector of state, or the steps of rules that spread
  // them.
  virtual void RunAhead(uint64_t t, const SegmentPass& pass, char* to) const;

 private:
  SegmentPass PassOver(const RuleSegment& segment, std::span<float> weights, std::span<const std::span<float>> state,
                       double staleness, std::span<float> steps) const;

  // Without nets and other bulk.
  const caffe::SolverParameter solver_;
};

// REQUIRES, of all: the solver was checked by SolverRule::Create.
std::unique_ptr<const SolverRule> MakeSgdRule(const caffe::SolverParameter& solver);
std::unique_ptr<const SolverRule> MakeNesterovRule(const caffe::SolverParameter& solver);
std::unique_ptr<const SolverRule> MakeAdaGradRule(const caffe::SolverParameter& solver);
std::unique_ptr<const SolverRule> MakeRmsPropRule(const caffe::SolverParameter& solver);
std::unique_ptr<const SolverRule> MakeAdaDeltaRule(const caffe::SolverParameter& solver);
std::unique_ptr<const SolverRule> MakeAdamRule(const caffe::SolverParameter& solver);

}  // namespace samovar
