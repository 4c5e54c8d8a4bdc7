// ConvolutionLayer computes convolutions, and the layers right above them, one image at a time while it is in the
// cache.
//
// An image is turned to have its channels last, convolved (convolution_kernel.h), taken through the ReLU and the pool
// that the layer has absorbed, if any, and turned back. Behind a max pool most outputs have no gradient: then the
// gradients are sums over the winners (winner_list.h) rather than products of whole images.
//
// A kernel of 3x3 or 5x5 over many channels is computed in tiles that take fewer products (winograd_kernel.h), unless
// the environment says SAMOVAR_WINOGRAD=0 when the net is made. Its sums are rounded differently, by some 1e-5 of the
// largest at most.
//
// Convolutions of one place, and grouped ones of few channels, are computed on planes instead, unless a pool is
// absorbed: convolution_planes.h.
//
// Kernels of one place over small images take several of these together: convolution_places.cc.
//
// Where there are fewer images than threads, threads share the groups of an image; and where nothing is learnt, a group
// is cut into slices of its outputs first. Each output is the same sum either way.
//
// A kernel of one place with a stride is one without over the places that it sees (strided_planes.h).
//
// A BatchNorm right below or above has its passes over memory done here, while a record is in the cache
// (batch_norm_layer.h).
//
// Sums over records are made per piece (pieces.h) and added in the order of the pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/convolution_kernel.h"
#include "worker/nn/kernels/window.h"
#include "worker/nn/kernels/winner_list.h"
#include "worker/nn/kernels/winograd_kernel.h"
#include "worker/nn/layer.h"
#include "worker/nn/layers/batch_norm_layer.h"
#include "worker/nn/layers/convolution_planes.h"

namespace samovar {

struct PoolStep {
  Window window;
  bool max = false;
};

// The layers that a convolution has absorbed: ReLU of slope 0, pool, ReLU.
struct AbsorbedSteps {
  bool relu = false;
  std::optional<PoolStep> pool;
  bool relu_of_pool = false;
};

// The BatchNorms for which a convolution calls functions of a record (BatchNormLayer::Neighbours).
struct NeighbourNorms {
  // Bottom 0 is its x rather than its z.
  BatchNormLayer* below = nullptr;
  bool sums_below = false;
  // Top 0 is its x.
  BatchNormLayer* measured = nullptr;
  BatchNormLayer* normalised = nullptr;
  // Top 0's diff is that of its z.
  BatchNormLayer* differentiated = nullptr;
};

class ConvolutionLayer : public Layer {
 public:
  ConvolutionLayer(const caffe::LayerParameter& param, int64_t batch_size, const Window& window);

  double forward_flops() const override;
  double backward_flops() const override;

  // Takes over the layers above. The top that is then bound is that of the last of them; those between are neither read
  // nor written. Before Bind.
  void Absorb(AbsorbedSteps steps) { absorbed_ = std::move(steps); }
  bool has_absorbed() const { return absorbed_.relu || absorbed_.pool || absorbed_.relu_of_pool; }
  // They outlive the layer's last pass. Before Bind.
  NeighbourNorms& norms() { return norms_; }
  // The top lies within a larger blob: from one record to the next, of data and of diffs, are so many floats. Before
  // Bind.
  void LieWithin(int64_t record_step) { top_step_ = record_step; }
  bool can_lie_within() const {
    return norms_.measured == nullptr && norms_.normalised == nullptr && norms_.differentiated == nullptr;
  }

  absl::Status Forward(const Pass& pass) override;
  void Backward(const Pass& pass) override;

 private:
  // One thread's memory for one image and group.
  struct Workspace {
    // Frame of the input; output [places, width]; frame of the output's gradient; the gradient of the input. Of as
    // many images as are taken together.
    ScratchBuffer image, out, diff, in_diff;
    // The absorbed pool's: [pooled places, width], zero beyond the outputs.
    Buffer<float> pooled;
    ScratchBuffer at;
    // [outputs of the group, places]; and [channels of the group, places]: z of the BatchNorm below; and
    // the places of these that are seen, or those of the bottom's diff.
    ScratchBuffer planes, in_planes, picked;
    // Winograd's tiles: those of the input, or of its gradient; of the output; of the output's gradient as an input;
    // and the weights' gradient.
    ScratchBuffer tiles_in, tiles_out, tiles_diff, tiles_gradient;
    WinnerList winners;
  };

  absl::Status Allocate() override;
  void SliceOutputs();
  absl::Status AllocateChannelsLast();
  absl::Status AllocateWorkspace(Workspace* space);
  absl::Status AllocateWinograd();

  int64_t bottom_record() const { return groups_ / slices_ * group_bottom(); }
  // The first of the bottom's channels that a group sees.
  int64_t first_channel(int64_t group) const { return group / slices_ * plan_.window.channels; }
  int64_t group_bottom() const { return plan_.window.channels * written_.in_plane(); }
  const std::optional<PoolStep>& pool() const { return absorbed_.pool; }
  int64_t top_plane() const { return pool() ? pool()->window.out_plane() : window_.out_plane(); }
  int64_t top_record() const { return groups_ * plan_.outputs * top_plane(); }
  int64_t group_top() const { return plan_.outputs * top_plane(); }
  // Where a group of a record begins in at_; and in top's data and diff.
  int64_t at_offset(int64_t record, int64_t group) const { return record * top_record() + group * group_top(); }
  int64_t top_offset(int64_t record, int64_t group) const {
    return record * (top_step_ > 0 ? top_step_ : top_record()) + group * group_top();
  }
  int64_t group_weights() const { return plan_.outputs * plan_.runs * plan_.run_length; }
  bool wants_weights() const { return binding().gradients[0] != nullptr; }
  bool wants_bias() const { return has_bias_ && binding().gradients[1] != nullptr; }
  bool wants_data() const { return binding().propagate_down[0]; }
  bool wants_any() const { return wants_weights() || wants_bias() || wants_data(); }
  // The output's gradient is kept as a list of winners.
  bool by_winners() const { return pool() && pool()->max && 2 * top_plane() <= window_.out_plane(); }
  // ReLU's mask is not in the top's data: it is kept.
  bool keeps_outputs() const { return absorbed_.relu && pool() && !pool()->max; }
  int64_t weights_partial() const {
    if (planes_) return planes_->gradient_elements();
    return by_winners() ? plan_.outputs * plan_.rows_length() : plan_.dense_length();
  }
  // Gradient of a piece and group: weights, then bias.
  float* partial(int64_t piece, int64_t group) const {
    return partials_.data() + (piece * groups_ + group) * partial_stride_;
  }

  void PackForPass(bool backward);
  // Zero where nothing is written: padding, and lanes beyond the outputs.
  void ClearFrames(bool backward);
  void TransformForPass(bool backward);
  // The records [begin, end).
  void ForwardGroup(int64_t begin, int64_t end, int64_t group, int thread);
  void ForwardPlanes(int64_t record, int64_t group, int thread);
  void ForwardDirect(int64_t record, int64_t group, Workspace* space);
  void ForwardTogether(int64_t begin, int64_t end, int64_t group, Workspace* space);
  void ForwardWinograd(int64_t begin, int64_t end, int64_t group, Workspace* space);
  // The input's planes.
  const float* Input(int64_t record, int64_t group, Workspace* space) const;
  void TurnBottom(int64_t record, int64_t group, float* image, Workspace* space) const;
  // The top's planes, or bottom's diff, are written.
  void FinishTop(int64_t record, int64_t group);
  void FinishBottomDiff(int64_t record, int64_t group, Workspace* space);
  // The planes that become bottom's diff.
  float* BottomDiff(int64_t record, int64_t group, Workspace* space) const;
  // Memory for an output with channels last; and what becomes of it.
  float* OutputOf(int64_t record, int64_t group, Workspace* space);
  void FinishForward(int64_t record, int64_t group, float* out, Workspace* space);
  void BackwardGroup(int64_t begin, int64_t end, int64_t group, float* partial, int thread);
  void BackwardPlanes(int64_t record, int64_t group, float* partial, int thread);
  void BackwardChannelsLast(int64_t record, int64_t group, float* partial, Workspace* space);
  void BackwardByWinners(int64_t record, int64_t group, float* partial, Workspace* space);
  void BackwardDense(int64_t record, int64_t group, float* partial, Workspace* space);
  void BackwardTogether(int64_t begin, int64_t end, int64_t group, float* partial, Workspace* space);
  void BackwardWinograd(int64_t begin, int64_t end, int64_t group, float* partial, Workspace* space);
  void TurnInDiffBack(int64_t record, int64_t group, const float* in_diff, Workspace* space);
  // The top's gradient; in the workspace, the gradient below a ReLU that wrote the top, or below a BatchNorm.
  const float* TopDiff(int64_t record, int64_t group, Workspace* space);
  // The output's gradient, channels last, in its frame.
  void SpreadDiff(int64_t record, int64_t group, float* diff, Workspace* space);
  void SumPartials(const Pass& pass);
  void UnpackWeights(const float* gradient, float* weights) const;

  // As the prototxt has it; and as it is computed.
  const Window written_;
  const Window window_;
  // Those of the prototxt, each cut into slices.
  int64_t groups_;
  int64_t slices_ = 1;
  const bool has_bias_;
  // That of a group.
  ConvolutionPlan plan_;
  AbsorbedSteps absorbed_;
  NeighbourNorms norms_;
  // 0: top_record().
  int64_t top_step_ = 0;
  std::optional<PlanesConvolution> planes_;
  // For the passes that are computed in tiles, and their weights.
  std::optional<WinogradPlan> winograd_, winograd_backward_;
  bool winograd_gradients_ = false;
  ScratchBuffer winograd_weights_, winograd_backward_weights_;

  int64_t records_per_piece_ = 0;
  // Images that are taken together, if not in tiles.
  int64_t images_ = 1;
  // For the dense data gradient, if it can be had by a convolution; and the frame of the output's gradient.
  std::optional<ConvolutionPlan> flipped_;
  Frame diff_frame_;
  // Per group, for the pass: weights for forward; for the data gradient, flipped or as rows; bias, a multiple of
  // packets.
  ScratchBuffer packed_, packed_backward_;
  Buffer<float> bias_;
  int64_t packed_backward_stride_ = 0;
  // Where each output's first run begins in the image, and where each output's rows of weights do.
  std::vector<int32_t> place_offsets_, output_offsets_;
  std::vector<std::unique_ptr<Workspace>> spaces_;
  // As the top: places of the maxima, bits of int32. And the outputs behind ReLU: [records, groups, places, width].
  Buffer<float> at_, outputs_;
  // Per piece: see partial().
  ScratchBuffer partials_;
  int64_t partial_stride_ = 0;
};

}  // namespace samovar
