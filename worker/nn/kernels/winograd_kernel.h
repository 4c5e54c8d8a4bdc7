// Convolution by a kernel of 3x3 or 5x5, stride 1, by Winograd's minimal filtering F(4x4, 3x3) or F(4x4, 5x5): a tile
// of 4x4 outputs takes 36 products a channel instead of 144, or 64 instead of 400. (Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, 2015.)
//
// A tile of outputs needs 6x6, or 8x8, inputs d. With the matrices B, G, A of the paper, outputs are A' [(G g G') * (B'
// d B)] A, where * multiplies element by element, summed over channels: a matrix product of tiles and weights for each
// of the elements. The weights' gradient is the adjoint: G' [sum of (B' d B) * (A dy A')] G.
//
// Layouts: images have their channels last (channels_last.h), a packet more behind the last one. Transformed tiles are
// [elements, tiles, width], where the width is that of the channels or outputs in whole packets, and elements are
// `element` floats apart; what lies beyond the channels is anything. Transformed weights are [elements, channels, width
// of the outputs], in the blocks of PackWeights (convolution_kernel.h), or for their gradient in rows.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/convolution_kernel.h"

namespace samovar {

// How one convolution, forward or that of the data gradient, is cut into tiles.
struct WinogradPlan {
  // Whether a convolution fits; and whether this is the faster way: a rule of the shape and the build alone.
  static bool Suits(const ConvolutionPlan& plan);

  // channels: those of the plan that are not padding.
  WinogradPlan(const ConvolutionPlan& plan, int64_t channels);

  int64_t channels, outputs;
  // From one place of the image to the next; channels and outputs in whole packets.
  int64_t place, width_in, width_out;
  // The kernel's side, and those of a tile's outputs and inputs.
  int64_t kernel, side, side_in;
  // The framed image, and the image of outputs.
  int64_t in_h, in_w, out_h, out_w;
  // Tiles of an image; the rows of them, and the images, that are computed together.
  int64_t tiles_h, tiles_w;
  int64_t rows, images;

  // In a tile.
  int64_t elements() const { return side_in * side_in; }
  int64_t tiles() const { return images * rows * tiles_w; }
  // Floats from one element of transformed tiles to the next. It is a cache line more than the tiles take: else all
  // elements of a tile would be kept in the same few lines of a cache, and push each other out.
  int64_t element(int64_t width) const { return tiles() * width + 16; }
  int64_t input_elements() const { return elements() * element(width_in); }
  int64_t output_elements() const { return elements() * element(width_out); }
  int64_t weight_elements() const { return elements() * channels * width_out; }
};

// Some rows of tiles of an image, and the number of the first of these tiles among those computed together.
struct TileRows {
  int64_t first;
  int64_t end;
  int64_t slot;
};

// G g G'. weights: [outputs, channels, kernel, kernel]; for the data gradient, `flipped`, those of the convolution
// forward: [channels, outputs, kernel, kernel], each turned by half a circle.
void TransformWeights(const WinogradPlan& plan, const float* weights, bool flipped, float* transformed);
// B' d B. image: in its frame.
void TransformInput(const WinogradPlan& plan, const TileRows& rows, const float* image, float* tiles);
// products: of so many tiles, from the first slot on.
void MultiplyTiles(const WinogradPlan& plan, int64_t tiles, const float* inputs, const float* weights, float* products);
// A' m A. out: [out_h, out_w, width_out]; bias: null, or so many floats.
void TransformOutput(const WinogradPlan& plan, const TileRows& rows, const float* products, const float* bias,
                     float* out);

// A dy A'. diff: [places, width_out], whose rows are `diff_row` floats apart.
void TransformDiff(const WinogradPlan& plan, const TileRows& rows, const float* diff, int64_t diff_row, float* tiles);
// Adds to `gradient`, [elements, channels, width_out].
void AddTilesGradient(const WinogradPlan& plan, int64_t tiles, const float* inputs, const float* diffs,
                      float* gradient);
// Adds to `dense`, as AddWeightGradient does.
void AddWinogradGradient(const WinogradPlan& plan, const float* gradient, float* dense);

}  // namespace samovar
