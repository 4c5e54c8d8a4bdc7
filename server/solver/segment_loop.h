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

// `update` is u = update(g, h), which also advances the float of history h. kSpread: with p = u, h that of the steps,
//   h <- m' h + p,  u = q h
template <Decay kKind, bool kSpread, typename Update>
void LoopWithOneHistory(const SegmentPass& pass, Update update) {
  AtVectorLevel([pass, update] {
    float* __restrict weights = pass.weights;
    float* __restrict history = pass.state[0];
    float* __restrict steps = pass.steps;
    const auto [kept, share, ahead] = pass.stretch;
    const float cut = pass.cut;
    const float* __restrict gradient = pass.gradient;
    for (size_t begin = 0; begin < pass.count; begin += kBlock) {
      const size_t end = std::min(begin + kBlock, pass.count);
      AskAhead(weights + begin);
      AskAhead(history + begin);
      AskAhead(gradient + begin);
      for (size_t i = begin; i < end; ++i) {
        const float u = update(Decayed<kKind>(cut * gradient[i], weights[i], pass.decay), history[i]);
        if constexpr (kSpread) {
          steps[i] = kept * steps[i] + u;
          weights[i] -= share * steps[i];
        } else {
          weights[i] -= u;
        }
      }
    }
  });
}

// As above with u = update(g, h1, h2).
template <Decay kKind, bool kSpread, typename Update>
void LoopWithTwoHistories(const SegmentPass& pass, Update update) {
  AtVectorLevel([pass, update] {
    float* __restrict weights = pass.weights;
    float* __restrict first = pass.state[0];
    float* __restrict second = pass.state[1];
    float* __restrict steps = pass.steps;
    const auto [kept, share, ahead] = pass.stretch;
    const float cut = pass.cut;
    const float* __restrict gradient = pass.gradient;
    for (size_t i = 0; i < pass.count; ++i) {
      const float u = update(Decayed<kKind>(cut * gradient[i], weights[i], pass.decay), first[i], second[i]);
      if constexpr (kSpread) {
        steps[i] = kept * steps[i] + u;
        weights[i] -= share * steps[i];
      } else {
        weights[i] -= u;
      }
    }
  });
}

template <bool kSpread, typename Update>
void RunWithOneHistory(const SegmentPass& pass, Update update) {
  if (pass.decay_kind == Decay::kNone) return LoopWithOneHistory<Decay::kNone, kSpread>(pass, update);
  if (pass.decay_kind == Decay::kL1) return LoopWithOneHistory<Decay::kL1, kSpread>(pass, update);
  LoopWithOneHistory<Decay::kL2, kSpread>(pass, update);
}

template <bool kSpread, typename Update>
void RunWithTwoHistories(const SegmentPass& pass, Update update) {
  if (pass.decay_kind == Decay::kNone) return LoopWithTwoHistories<Decay::kNone, kSpread>(pass, update);
  if (pass.decay_kind == Decay::kL1) return LoopWithTwoHistories<Decay::kL1, kSpread>(pass, update);
  LoopWithTwoHistories<Decay::kL2, kSpread>(pass, update);
}

template <typename Update>
void RunWithOneHistory(const SegmentPass& pass, Update update) {
  if (pass.steps != nullptr) return RunWithOneHistory<true>(pass, update);
  RunWithOneHistory<false>(pass, update);
}

template <typename Update>
void RunWithTwoHistories(const SegmentPass& pass, Update update) {
  if (pass.steps != nullptr) return RunWithTwoHistories<true>(pass, update);
  RunWithTwoHistories<false>(pass, update);
}

}  // namespace samovar
