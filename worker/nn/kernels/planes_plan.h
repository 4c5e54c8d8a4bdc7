// Geometry of a convolution of one group of channels on planes (planes_kernel.h).
//
// With a stride, neighbouring outputs need inputs that lie apart. So the padded image is taken apart into phases: every
// stride_h-th row and every stride_w-th column, from (y, x) on, is a plane of its own. All planes, those of outputs
// too, have rows of `pitch` floats. Output (oh, ow) at place p = oh * pitch + ow then needs for each place of the
// kernel the value at p + shift of one phase. What is computed for ow >= out_w is left out.
//
// Layouts, for one group:
//   frame   of the input: [phases, channels, plane], padding is zero; frame_elements() floats
//   output  [outputs, out_plane]
//   diff    of the output: [outputs, diff_plane], from diff_origin() on, zero where there is no output
#pragma once

#include <cstdint>
#include <vector>

#include "worker/nn/kernels/window.h"

namespace samovar {

struct PlanesPlan {
  // window.channels are the group's.
  PlanesPlan(const Window& window, int64_t outputs);

  // Part of the data gradient: a convolution of the output's gradient with the weights that see this phase.
  struct Phase {
    int64_t y, x;
    // By term (kh, kw, o), in this order: its offset from diff_origin(), and its weight's place behind that of
    // (0, c, 0, 0).
    std::vector<int64_t> offsets, weights;
  };

  // The planes of the output and of its gradient are the layouts above as they are.
  bool flat() const { return window.taps() == 1; }
  // The image is the frame, too.
  bool in_place() const;
  int64_t terms() const { return window.channels * window.taps(); }
  int64_t frame_elements() const;
  int64_t output_elements() const { return outputs * out_plane; }
  int64_t diff_origin() const { return most_shift; }
  int64_t diff_elements() const;

  Window window;
  int64_t outputs;
  int64_t pitch, rows;
  int64_t plane, out_plane, diff_plane;
  int64_t most_shift;
  std::vector<Phase> phases;
  // By term (kh, kw, c), in this order: its offset in the frame, and its weight's place in those of one output.
  std::vector<int64_t> offsets, weights;
};

// Between the planes [channels, in_h, in_w] of an image and its frame. Values that no phase has become zero.
void FillFrame(const PlanesPlan& plan, const float* image, float* frame);
void EmptyFrame(const PlanesPlan& plan, const float* frame, float* image);

// Between planes [outputs, out_h, out_w] and the layouts above.
void EmptyOutput(const PlanesPlan& plan, const float* output, float* planes);
void FillDiff(const PlanesPlan& plan, const float* planes, float* diff);

}  // namespace samovar
