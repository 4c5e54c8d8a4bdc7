// Convolution of one plane by one kernel of 3x3, stride 1, with a border of one zero around it: input and output are of
// one size. Both are computed on as they lie in memory; lanes that would see a neighbouring row instead of the border
// are masked.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/window.h"

namespace samovar {

struct DepthwisePlan {
  static constexpr int kSide = 3, kTaps = kSide * kSide;

  // Whether a convolution of one channel is such a one, and the build has instructions for some lanes of a packet.
  static bool Suits(const Window& window);

  explicit DepthwisePlan(const Window& window);

  int64_t height, width;
  // Those of the plane, the last one in part.
  int64_t packets;
  // From an output to the input that a tap sees: [kTaps].
  std::vector<int64_t> shifts;
  // Packets all of whose inputs are in the plane's rows: only columns are masked, and these masks repeat from packet to
  // packet: [period, kSide].
  int64_t inner_begin, inner_end;
  int64_t period;
  std::vector<LaneMask> column_masks;
  // Those of the others, in their order: [packets, kTaps]; and the lanes of the last packet.
  std::vector<LaneMask> edge_masks;
  LaneMask last;
};

// out[y, x] = bias + sum over the taps, in order, of weights[kh, kw] * in[y + kh - 1, x + kw - 1]; flipped: of the
// weights in reverse, which is the gradient of the input from that of the output. out is not in.
void CorrelatePlane(const DepthwisePlan& plan, const float* in, const float* weights, bool flipped, float bias,
                    float* out);

// sums[kh, kw] += diff[y, x] * in[y + kh - 1, x + kw - 1] over all places, where each of `sums` is a packet, whose
// lanes are still to be added.
void AddPlaneDots(const DepthwisePlan& plan, const float* in, const float* diff, float* sums);

}  // namespace samovar
