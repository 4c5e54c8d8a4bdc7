// Memory, forward pass and sums of ConvolutionLayer. Its prototxt is read in convolution_layer.cc;
// convolution_gradients.cc has the gradients of one image.
#include <algorithm>
#include <limits>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/pooling_kernel.h"
#include "worker/nn/kernels/strided_planes.h"
#include "worker/nn/layers/convolution_layer.h"

namespace samovar {
namespace {

constexpr int64_t kMostForwardRecords = 4;
// Small batches make two pieces at least.
int64_t ForwardRecordsPerPiece(int64_t records) { return std::min(kMostForwardRecords, Pieces(records, 2)); }

// Enough rows for the product of a kernel of one place.
constexpr int64_t kPlacesTogether = 224;

// As in relu_layer.cc.
void Rectify(float* x, int64_t n) {
  int64_t i = 0;
  for (; i + kPacketSize <= n; i += kPacketSize) Store(x + i, Relu(Load(x + i)));
  for (; i < n; ++i) x[i] = x[i] > 0 ? x[i] : 0 * x[i];
}

}  // namespace

double ConvolutionLayer::forward_flops() const {
  const double outputs = static_cast<double>(Elements(top_shapes()[0]));
  return outputs * (2 * static_cast<double>(plan_.runs * plan_.run_length) + (has_bias_ ? 1 : 0));
}

double ConvolutionLayer::backward_flops() const {
  const double outputs = static_cast<double>(Elements(top_shapes()[0]));
  const double products = 2 * outputs * static_cast<double>(plan_.runs * plan_.run_length);
  return (wants_weights() ? products : 0) + (wants_bias() ? outputs : 0) + (wants_data() ? products : 0);
}

void ConvolutionLayer::SliceOutputs() {
  // Slices keep whole tiles of outputs (which on planes are small), and work that is worth waking a thread.
  const int64_t least_outputs = window_.taps() == 1 ? 8 : 32;
  constexpr double kLeastFlops = 8e6;
  const int64_t records = bottom(0).records(), threads = binding().threads;
  if (wants_any() || records >= threads || forward_flops() < kLeastFlops * static_cast<double>(records)) return;
  int64_t outputs = plan_.outputs;
  for (; groups_ < threads && outputs % 2 == 0 && outputs / 2 >= least_outputs; outputs /= 2) {
    slices_ *= 2;
    groups_ *= 2;
  }
  plan_ = ConvolutionPlan(plan_.window, outputs);
}

absl::Status ConvolutionLayer::Allocate() {
  SliceOutputs();
  const int64_t records = bottom(0).records();
  if (plan_.outputs * plan_.rows_length() > std::numeric_limits<int32_t>::max() ||
      plan_.frame.elements() > std::numeric_limits<int32_t>::max()) {
    return absl::ResourceExhaustedError(
        "one image or the weights take more than 2^31 values; make num_output or the image smaller");
  }
  records_per_piece_ = RecordsPerPiece(static_cast<int>(records));
  for (int thread = 0; thread < binding().threads; ++thread) spaces_.push_back(std::make_unique<Workspace>());
  SAMOVAR_RETURN_IF_ERROR(bias_.Allocate(groups_ * plan_.width));
  if (!pool() && PlanesConvolution::Suits(plan_.window, plan_.outputs, groups_)) {
    planes_.emplace(plan_.window, plan_.outputs, groups_);
    planes_->Allocate(binding().threads, wants_weights(), wants_data(), binding().scratch, binding().packed);
    for (auto& space : spaces_) space->planes.Take(binding().scratch, group_top());
  } else {
    SAMOVAR_RETURN_IF_ERROR(AllocateChannelsLast());
  }
  for (auto& space : spaces_) {
    if (norms_.below != nullptr) space->in_planes.Take(binding().scratch, group_bottom());
    if (SkipsPlaces(written_)) space->picked.Take(binding().scratch, plan_.window.channels * window_.in_plane());
  }
  if (wants_weights() || wants_bias()) {
    partial_stride_ = RoundUpToPackets(weights_partial()) + plan_.width;
    partials_.Take(binding().scratch, partial_stride_ * groups_ * Pieces(records, records_per_piece_));
  }
  return absl::OkStatus();
}

absl::Status ConvolutionLayer::AllocateChannelsLast() {
  diff_frame_ = {plan_.width, window_.out_h, window_.out_w, 0, 0};
  if (wants_data() && !by_winners() && plan_.CanFlip()) {
    flipped_ = plan_.Flipped();
    diff_frame_ = flipped_->frame;
  }
  SAMOVAR_RETURN_IF_ERROR(AllocateWinograd());
  if (!pool() && plan_.is_plain())
    images_ = std::clamp<int64_t>(kPlacesTogether / window_.out_plane(), 1, kMostForwardRecords);
  if (!winograd_) packed_.Take(binding().packed, groups_ * plan_.dense_length());
  if (wants_data() && !winograd_backward_) {
    packed_backward_stride_ = flipped_ ? flipped_->dense_length() : plan_.outputs * plan_.rows_length();
    packed_backward_.Take(binding().scratch, groups_ * packed_backward_stride_);
  }
  for (int64_t oh = 0; oh < window_.out_h; ++oh) {
    for (int64_t ow = 0; ow < window_.out_w; ++ow) place_offsets_.push_back(static_cast<int32_t>(plan_.offset(oh, ow)));
  }
  for (int64_t o = 0; o < plan_.outputs; ++o) output_offsets_.push_back(static_cast<int32_t>(o * plan_.rows_length()));
  for (auto& space : spaces_) SAMOVAR_RETURN_IF_ERROR(AllocateWorkspace(space.get()));
  const int64_t records = bottom(0).records();
  if (pool() && pool()->max && wants_any()) SAMOVAR_RETURN_IF_ERROR(at_.Allocate(records * top_record()));
  if (keeps_outputs() && wants_any())
    SAMOVAR_RETURN_IF_ERROR(outputs_.Allocate(records * groups_ * plan_.output_elements()));
  return absl::OkStatus();
}

absl::Status ConvolutionLayer::AllocateWorkspace(Workspace* space) {
  // A packet more: the last run is read in whole packets.
  Scratch* const scratch = binding().scratch;
  space->image.Take(scratch, images_ * plan_.frame.elements() + kPacketSize);
  space->out.Take(scratch, images_ * plan_.output_elements());
  if (pool()) {
    SAMOVAR_RETURN_IF_ERROR(space->pooled.Allocate(top_plane() * plan_.width));
    space->at.Take(scratch, top_plane() * plan_.width);
  }
  if (!wants_any()) return absl::OkStatus();
  if (by_winners()) {
    SAMOVAR_RETURN_IF_ERROR(space->winners.Allocate(plan_.outputs, window_.out_plane(), top_plane()));
  } else {
    space->diff.Take(scratch, images_ * diff_frame_.elements());
    space->planes.Take(scratch, plan_.outputs * std::max(window_.out_plane(), top_plane()));
  }
  if (!wants_data()) return absl::OkStatus();
  space->in_diff.Take(scratch, flipped_ ? images_ * flipped_->output_elements() : plan_.frame.elements() + kPacketSize);
  return absl::OkStatus();
}

void ConvolutionLayer::PackForPass(bool backward) {
  const float* const all = binding().weights[0];
  for (int64_t g = 0; g < groups_ && !backward && has_bias_; ++g)
    std::copy_n(binding().weights[1] + g * plan_.outputs, plan_.outputs, bias_.data() + g * plan_.width);
  if (backward ? winograd_backward_.has_value() : winograd_.has_value()) return TransformForPass(backward);
  if (planes_) return backward ? planes_->PackForBackward(all) : planes_->PackForForward(all);
  for (int64_t g = 0; g < groups_; ++g) {
    const float* weights = all + g * group_weights();
    float* packed_backward = packed_backward_.data() + g * packed_backward_stride_;
    if (!backward) {
      PackWeights(plan_, weights, packed_.data() + g * plan_.dense_length());
    } else if (flipped_) {
      PackFlippedWeights(plan_, *flipped_, weights, packed_backward);
    } else {
      PackWeightRows(plan_, weights, packed_backward);
    }
  }
}

void ConvolutionLayer::ClearFrames(bool backward) {
  if (planes_) return planes_->ClearFrames(backward);
  for (auto& space : spaces_) {
    if (plan_.frame.has_padding()) space->image.Clear();
    if (backward && (diff_frame_.has_padding() || plan_.width > plan_.outputs)) space->diff.Clear();
  }
}

absl::Status ConvolutionLayer::Forward(const Pass& pass) {
  ClearFrames(/*backward=*/false);
  if (pass.new_weights) PackForPass(/*backward=*/false);
  if (norms_.normalised != nullptr) norms_.normalised->ReadTotals();
  const int64_t records = bottom(0).records();
  if (records < pass.loop.threads()) {
    constexpr int64_t kPieces = 8;
    pass.loop.Run(groups_, Pieces(groups_, kPieces), [&](int64_t begin, int64_t end, int64_t, int thread) {
      for (int64_t g = begin; g < end; ++g) ForwardGroup(0, records, g, thread);
    });
    return absl::OkStatus();
  }
  pass.loop.Run(records, ForwardRecordsPerPiece(records), [&](int64_t begin, int64_t end, int64_t, int thread) {
    for (int64_t g = 0; g < groups_; ++g) ForwardGroup(begin, end, g, thread);
  });
  return absl::OkStatus();
}

void ConvolutionLayer::ForwardGroup(int64_t begin, int64_t end, int64_t group, int thread) {
  Workspace* const space = spaces_[static_cast<size_t>(thread)].get();
  if (winograd_) return ForwardWinograd(begin, end, group, space);
  if (images_ > 1) return ForwardTogether(begin, end, group, space);
  for (int64_t record = begin; record < end; ++record) {
    if (planes_) {
      ForwardPlanes(record, group, thread);
    } else {
      ForwardDirect(record, group, space);
    }
  }
}

void ConvolutionLayer::ForwardPlanes(int64_t record, int64_t group, int thread) {
  float* const out = top(0).data + top_offset(record, group);
  planes_->Forward(group, Input(record, group, spaces_[static_cast<size_t>(thread)].get()),
                   has_bias_ ? bias_.data() + group * plan_.width : nullptr, thread, out);
  if (absorbed_.relu) Rectify(out, group_top());
  FinishTop(record, group);
}

void ConvolutionLayer::ForwardDirect(int64_t record, int64_t group, Workspace* space) {
  TurnBottom(record, group, space->image.data(), space);
  float* const out = OutputOf(record, group, space);
  ForwardImage(plan_, space->image.data(), packed_.data() + group * plan_.dense_length(),
               bias_.data() + group * plan_.width, out);
  FinishForward(record, group, out, space);
}

const float* ConvolutionLayer::Input(int64_t record, int64_t group, Workspace* space) const {
  const int64_t channels = plan_.window.channels;
  const int64_t first = first_channel(group);
  const float* in = bottom(0).data + record * bottom_record() + first * written_.in_plane();
  if (norms_.below != nullptr) {
    norms_.below->NormaliseRecord(record, first, first + channels, space->in_planes.data());
    in = space->in_planes.data();
  }
  if (!SkipsPlaces(written_)) return in;
  PickPlaces(written_, channels, in, space->picked.data());
  return space->picked.data();
}

void ConvolutionLayer::TurnBottom(int64_t record, int64_t group, float* image, Workspace* space) const {
  ToChannelsLast(Input(record, group, space), plan_.window.channels, plan_.frame, image);
}

void ConvolutionLayer::FinishTop(int64_t record, int64_t group) {
  const int64_t begin = group * plan_.outputs, end = begin + plan_.outputs;
  if (norms_.measured != nullptr) norms_.measured->MeasureRecord(record, begin, end);
  if (norms_.normalised != nullptr) {
    norms_.normalised->NormaliseRecord(record, begin, end, top(0).data + top_offset(record, group));
  }
}

float* ConvolutionLayer::OutputOf(int64_t record, int64_t group, Workspace* space) {
  if (outputs_.size() == 0) return space->out.data();
  return outputs_.data() + (record * groups_ + group) * plan_.output_elements();
}

void ConvolutionLayer::FinishForward(int64_t record, int64_t group, float* out, Workspace* space) {
  if (pool() && pool()->max) {
    const PoolRelu relu = absorbed_.relu           ? PoolRelu::kBelow
                          : absorbed_.relu_of_pool ? PoolRelu::kAbove
                                                   : PoolRelu::kNone;
    MaxPoolForward(pool()->window, plan_.packets, relu, out, space->pooled.data(),
                   at_.size() > 0 ? space->at.data() : nullptr);
    if (at_.size() > 0) {
      Transpose(space->at.data(), top_plane(), plan_.outputs, plan_.width, at_.data() + at_offset(record, group),
                top_plane());
    }
  } else {
    if (absorbed_.relu) Rectify(out, window_.out_plane() * plan_.width);
    if (pool()) AveragePoolForward(pool()->window, plan_.packets, out, space->pooled.data());
    if (absorbed_.relu_of_pool) Rectify(space->pooled.data(), top_plane() * plan_.width);
  }
  Transpose(pool() ? space->pooled.data() : out, top_plane(), plan_.outputs, plan_.width,
            top(0).data + top_offset(record, group), top_plane());
  FinishTop(record, group);
}

void ConvolutionLayer::Backward(const Pass& pass) {
  // A layer below may learn, yet be cut off.
  if (!wants_any()) return;
  ClearFrames(/*backward=*/true);
  if (wants_data()) PackForPass(/*backward=*/true);
  pass.loop.Run(bottom(0).records(), records_per_piece_, [&](int64_t begin, int64_t end, int64_t piece, int thread) {
    if (partial_stride_ > 0) std::fill_n(partial(piece, 0), groups_ * partial_stride_, 0.0f);
    for (int64_t g = 0; g < groups_; ++g) BackwardGroup(begin, end, g, partial(piece, g), thread);
  });
  if (partial_stride_ > 0) SumPartials(pass);
}

void ConvolutionLayer::UnpackWeights(const float* gradient, float* weights) const {
  if (planes_) return planes_->UnpackGradient(gradient, weights);
  if (by_winners()) return UnpackRowsGradient(plan_, gradient, weights);
  UnpackDenseGradient(plan_, gradient, weights);
}

void ConvolutionLayer::SumPartials(const Pass& pass) {
  constexpr int64_t kElementsPerPiece = 8 << 10;
  const int64_t pieces = Pieces(bottom(0).records(), records_per_piece_);
  pass.loop.Run(groups_ * partial_stride_, kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
    float* __restrict to = partial(0, 0);
    for (int64_t piece = 1; piece < pieces; ++piece) {
      const float* __restrict from = partial(piece, 0);
      for (int64_t i = begin; i < end; ++i) to[i] += from[i];
    }
  });
  for (int64_t g = 0; g < groups_; ++g) {
    float* weights = wants_weights() ? binding().gradients[0] + g * group_weights() : nullptr;
    if (weights != nullptr) UnpackWeights(partial(0, g), weights);
    const float* bias = partial(0, g) + RoundUpToPackets(weights_partial());
    if (wants_bias()) std::copy_n(bias, plan_.outputs, binding().gradients[1] + g * plan_.outputs);
  }
}

}  // namespace samovar
