// The loop over a segment's floats, made once for each rule and kind of decay, so that each is a straight line that the
// compiler vectorises. Includers are the rules' files only.
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/base/vector_level.h"
#include "server/solver/solver_rules.h"

namespace samovar {

// Floats that are asked for at once, and how far ahead of their use. Square roots and quotients take so long that the
// processor does not see far enough ahead by itself to keep memory busy. Floats beyond the end are not touched.
constexpr size_t kBlock = 64;
constexpr size_t kAhead = 1024;

inline void AskAhead(const float* block) {
  for (size_t i = 0; i < kBlock; i += 16) __builtin_prefetch(block + kAhead + i);
}

// `update` is u = update(g, h), which also advances the float of history h.
template <Decay kKind, typename Update>
void LoopWithOneHistory(const SegmentPass& pass, Update update) {
  AtVectorLevel([pass, update] {
    float* __restrict weights = pass.weights;
    float* __restrict history = pass.state[0];
    const float* __restrict gradient = pass.gradient;
    for (size_t begin = 0; begin < pass.count; begin += kBlock) {
      const size_t end = std::min(begin + kBlock, pass.count);
      AskAhead(weights + begin);
      AskAhead(history + begin);
      AskAhead(gradient + begin);
      for (size_t i = begin; i < end; ++i) {
        weights[i] -= update(Decayed<kKind>(gradient[i], weights[i], pass.decay), history[i]);
      }
    }
  });
}

// As above with u = update(g, h1, h2).
template <Decay kKind, typename Update>
void LoopWithTwoHistories(const SegmentPass& pass, Update update) {
  AtVectorLevel([pass, update] {
    float* __restrict weights = pass.weights;
    float* __restrict first = pass.state[0];
    float* __restrict second = pass.state[1];
    const float* __restrict gradient = pass.gradient;
    for (size_t i = 0; i < pass.count; ++i) {
      weights[i] -= update(Decayed<kKind>(gradient[i], weights[i], pass.decay), first[i], second[i]);
    }
  });
}

template <typename Update>
void RunWithOneHistory(const SegmentPass& pass, Update update) {
  if (pass.decay_kind == Decay::kNone) return LoopWithOneHistory<Decay::kNone>(pass, update);
  if (pass.decay_kind == Decay::kL1) return LoopWithOneHistory<Decay::kL1>(pass, update);
  LoopWithOneHistory<Decay::kL2>(pass, update);
}

template <typename Update>
void RunWithTwoHistories(const SegmentPass& pass, Update update) {
  if (pass.decay_kind == Decay::kNone) return LoopWithTwoHistories<Decay::kNone>(pass, update);
  if (pass.decay_kind == Decay::kL1) return LoopWithTwoHistories<Decay::kL1>(pass, update);
  LoopWithTwoHistories<Decay::kL2>(pass, update);
}

}  // namespace samovar
