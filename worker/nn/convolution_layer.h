// ConvolutionLayer computes convolutions as matrix products over blocks of images.
//
// A loop's piece is a fixed number of records (pieces.h); within it, blocks of images share one product, so that small images
// make a product wide enough to run at full speed. Per block of n images, with P = out_h * out_w:
//   forward          out [O, n P]   = weights [O, K] * columns [K, n P] + bias
//   weight gradient  dW [O, K]     += dout [O, n P] * columns^T           (per piece; the pieces are then added in order)
//   data gradient    dcolumns       = weights^T * dout, then Col2im
// where K = C / group * kernel_h * kernel_w, per group.
#pragma once

#include <cstdint>

#include "worker/nn/buffer.h"
#include "worker/nn/layer.h"
#include "worker/nn/window.h"

namespace samovar {

class ConvolutionLayer : public Layer {
 public:
  ConvolutionLayer(const caffe::LayerParameter& param, int64_t batch_size, const Window& window);

  double forward_flops() const override;
  double backward_flops() const override;

  absl::Status Forward(const Pass& pass) override;
  void Backward(const Pass& pass) override;

 private:
  // `images` images from `first` on.
  struct Block {
    int64_t first;
    int64_t images;
  };

  absl::Status Allocate() override;

  int64_t bottom_record() const { return window_.channels * window_.in_plane(); }
  int64_t top_record() const { return outputs_ * window_.out_plane(); }
  bool wants_weights() const { return binding().gradients[0] != nullptr; }
  bool wants_bias() const { return has_bias_ && binding().gradients[1] != nullptr; }
  float* columns(int thread) { return columns_.data() + thread * columns_stride_; }
  float* gathered(int thread) { return gathered_.data() + thread * gathered_stride_; }
  // Gradient of a piece: weights, then bias.
  float* partial(int64_t piece) { return partials_.data() + piece * partial_stride_; }

  void ForwardBlock(Block block, int thread);
  void BackwardBlock(Block block, bool first_of_piece, int64_t piece, int thread);
  void DataGradient(Block block, const float* top_diff, int thread);
  // Columns of the block's images side by side: row stride images * out_plane.
  void FillColumns(Block block, float* columns);
  // top_diff of the block as [outputs, images * out_plane]; in place if the block is one image.
  const float* GatherDiff(Block block, int thread);
  void SumPartials(const Pass& pass);

  const Window window_;
  const int64_t groups_;
  const int64_t outputs_;
  const int64_t group_outputs_;
  const int64_t group_taps_;
  const bool has_bias_;

  int64_t records_per_piece_ = 0;
  int64_t images_per_block_ = 0;
  // Per thread: [channels * taps, images * out_plane] and [outputs, images * out_plane].
  Buffer<float> columns_, gathered_;
  int64_t columns_stride_ = 0, gathered_stride_ = 0;
  // Per piece: see partial().
  Buffer<float> partials_;
  int64_t partial_stride_ = 0;
};

}  // namespace samovar
