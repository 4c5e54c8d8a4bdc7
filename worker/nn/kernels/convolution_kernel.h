// Convolution of one image with its channels last (channels_last.h), without columns: the inputs that a row of the
// kernel needs for one output are one run of floats in the image, and a run's product with the weights is summed in
// registers (tile_kernel.h).
//
// Layouts, for one group of channels:
//   image     `frame`: padded, so that every run of every output lies in it; padding is zero
//   output    [out_h, out_w, width], width = the outputs rounded up to packets
//   gradient  of the weights: [runs, run_length, width] (dense) or [outputs, runs, row_length()] (by winners)
#pragma once

#include <cstdint>
#include <vector>

#include "worker/nn/kernels/channels_last.h"
#include "worker/nn/kernels/window.h"
#include "worker/nn/kernels/winner_kernel.h"

namespace samovar {

// Geometry of one group: window.channels are the group's.
struct ConvolutionPlan {
  ConvolutionPlan(const Window& window, int64_t outputs);

  // The plan that computes the data gradient as a convolution of the output's gradient with the flipped weights.
  // REQUIRES: CanFlip()
  ConvolutionPlan Flipped() const;
  bool CanFlip() const;

  // Each output needs the one place of the image where it lies itself.
  bool is_plain() const {
    return window.taps() == 1 && window.stride_h == 1 && window.stride_w == 1 && window.pad_h == 0 && window.pad_w == 0;
  }
  // Floats from an output's first run to the next output's, along a row.
  int64_t step() const { return window.stride_w * window.channels; }
  // The place of output (oh, ow), from the image's beginning.
  int64_t offset(int64_t oh, int64_t ow) const { return row_offsets[static_cast<size_t>(oh)] + ow * step(); }
  // A run, rounded up to packets; and all runs of one output channel.
  int64_t row_length() const { return RoundUpToPackets(run_length); }
  int64_t rows_length() const { return runs * row_length(); }
  int64_t dense_length() const { return runs * run_length * width; }
  int64_t output_elements() const { return window.out_plane() * width; }

  Window window;
  int64_t outputs;
  int64_t packets;
  int64_t width;
  Frame frame;
  // A run is a whole row of the kernel, or with dilation along the width one place of it.
  int64_t runs_per_row;
  int64_t runs;
  int64_t run_length;
  // From an output's first run to the others; from the image's beginning to the first run of each row of outputs; and
  // between runs of rows_length().
  std::vector<int64_t> run_offsets;
  std::vector<int64_t> row_offsets;
  std::vector<int64_t> packed_runs;
  // The blocks of a row of rows_length(); and of a row in the image, whose places lie apart as the channels have it.
  std::vector<RowBlock> row_blocks, image_blocks;
};

// Weights [outputs, channels, kernel_h, kernel_w] in the order in which the passes read them: packed for ForwardImage,
// dense_length(); flipped for ForwardImage of Flipped(), whose original is `plan`; rows for winners, outputs *
// rows_length().
void PackWeights(const ConvolutionPlan& plan, const float* weights, float* packed);
void PackFlippedWeights(const ConvolutionPlan& plan, const ConvolutionPlan& flipped, const float* weights,
                        float* packed);
void PackWeightRows(const ConvolutionPlan& plan, const float* weights, float* rows);

// out is written. bias: `width` floats, or null.
void ForwardImage(const ConvolutionPlan& plan, const float* image, const float* packed, const float* bias, float* out);

// The same of a kernel of one place: `places` outputs, of any number of images one behind the other. REQUIRES:
// plan.is_plain()
void ForwardPlaces(const ConvolutionPlan& plan, int64_t places, const float* images, const float* packed,
                   const float* bias, float* out);

// Adds to gradient (dense). diff: the output's gradient, rows of outputs `diff_row` floats apart.
void AddWeightGradient(const ConvolutionPlan& plan, const float* image, const float* diff, int64_t diff_row,
                       float* gradient);

// The same of a kernel of one place, from `planes` [channels, out_plane]: the inputs of the outputs. diff: [out_plane,
// width].
void AddWeightGradientOfPlanes(const Window& window, int64_t outputs, const float* planes, const float* diff,
                               float* gradient);

// The same of images with their channels last, one behind the other. REQUIRES: plan.is_plain()
void AddWeightGradientOfPlaces(const ConvolutionPlan& plan, int64_t places, const float* images, const float* diff,
                               float* gradient);

// Writes a gradient in either layout in the order of the weights.
void UnpackDenseGradient(const ConvolutionPlan& plan, const float* gradient, float* weights);
void UnpackRowsGradient(const ConvolutionPlan& plan, const float* gradient, float* weights);

}  // namespace samovar
