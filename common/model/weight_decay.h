// How weight decay enters a gradient, at servers and in a worker's own steps: in float, in the order of Caffe's
// operations.
//
// Thread safety: stateless.
#pragma once

#include "caffe.pb.h"

namespace samovar {

enum class Decay { kNone, kL1, kL2 };

// The kind of decay of a blob whose weight_decay * decay_mult is `decay`.
inline Decay DecayOf(const caffe::SolverParameter& solver, float decay) {
  return decay == 0 ? Decay::kNone : solver.regularization_type() == "L1" ? Decay::kL1 : Decay::kL2;
}

template <Decay kKind>
inline float Decayed(float gradient, float weight, float decay) {
  if constexpr (kKind == Decay::kL2) return gradient + decay * weight;
  if constexpr (kKind == Decay::kL1) {
    return gradient + decay * (static_cast<float>(weight > 0) - static_cast<float>(weight < 0));
  }
  return gradient;
}

}  // namespace samovar
