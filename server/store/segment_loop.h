// The loop over a segment's floats, made once for each rule and kind of decay, so that each is a straight line that the
// compiler vectorises. Includers are the rules' files only.
#pragma once

#include <cstddef>

#include "server/store/solver_rules.h"

namespace samovar {

template <Decay kKind>
inline float Decayed(float gradient, float weight, float decay) {
  if constexpr (kKind == Decay::kL2) return gradient + decay * weight;
  if constexpr (kKind == Decay::kL1) {
    return gradient + decay * (static_cast<float>(weight > 0) - static_cast<float>(weight < 0));
  }
  return gradient;
}

// `update` is u = update(g, h), which also advances the float of history h.
template <Decay kKind, typename Update>
void LoopWithOneHistory(size_t count, float decay, float* __restrict weights, float* __restrict history,
                        const float* __restrict gradient, Update update) {
  for (size_t i = 0; i < count; ++i) {
    weights[i] -= update(Decayed<kKind>(gradient[i], weights[i], decay), history[i]);
  }
}

// As above with u = update(g, h1, h2).
template <Decay kKind, typename Update>
void LoopWithTwoHistories(size_t count, float decay, float* __restrict weights, float* __restrict first,
                          float* __restrict second, const float* __restrict gradient, Update update) {
  for (size_t i = 0; i < count; ++i) {
    weights[i] -= update(Decayed<kKind>(gradient[i], weights[i], decay), first[i], second[i]);
  }
}

template <typename Update>
void RunWithOneHistory(const SegmentPass& pass, Update update) {
  const auto loop = pass.decay_kind == Decay::kNone ? &LoopWithOneHistory<Decay::kNone, Update>
                    : pass.decay_kind == Decay::kL1 ? &LoopWithOneHistory<Decay::kL1, Update>
                                                    : &LoopWithOneHistory<Decay::kL2, Update>;
  loop(pass.count, pass.decay, pass.weights, pass.state[0], pass.gradient, update);
}

template <typename Update>
void RunWithTwoHistories(const SegmentPass& pass, Update update) {
  const auto loop = pass.decay_kind == Decay::kNone ? &LoopWithTwoHistories<Decay::kNone, Update>
                    : pass.decay_kind == Decay::kL1 ? &LoopWithTwoHistories<Decay::kL1, Update>
                                                    : &LoopWithTwoHistories<Decay::kL2, Update>;
  loop(pass.count, pass.decay, pass.weights, pass.state[0], pass.state[1], pass.gradient, update);
}

}  // namespace samovar
