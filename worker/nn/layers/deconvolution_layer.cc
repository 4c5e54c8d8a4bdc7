// Deconvolution: the backward pass of a convolution, as a layer (Zeiler et al.: "Deconvolutional networks", 2010). Each
// input value adds the kernel, times itself, to a window of the top; out = stride (in - 1) + dilation (kernel - 1) + 1
// - 2 pad. Weights [C, num_output / group, kernel_h, kernel_w], bias [num_output]. For each record, with P = in_h *
// in_w, K = num_output / group
// * taps and x [C / group, P] of a group:
//   forward          columns [K, P] = weights^T * x, then Col2im onto the bias
//   data gradient    dx = weights * columns, columns being Im2col of dy
//   weight gradient  dW += x * columns^T   (per piece; the pieces are then added in order)
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/channels.h"
#include "worker/nn/kernels/im2col.h"
#include "worker/nn/kernels/product.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/convolution_fields.h"

namespace samovar {
namespace {

class DeconvolutionLayer : public Layer {
 public:
  // The window slides over the top: its "in" is the top, its "out" the bottom.
  DeconvolutionLayer(const LayerContext& context, const Window& window)
      : window_(window),
        channels_(context.bottoms[0][1]),
        groups_(context.param.convolution_param().group()),
        group_channels_(channels_ / groups_),
        group_taps_(window.channels / groups_ * window.taps()),
        has_bias_(context.param.convolution_param().bias_term()) {
    const caffe::ConvolutionParameter& conv = context.param.convolution_param();
    const Shape weights = {channels_, window.channels / groups_, window.kernel_h, window.kernel_w};
    AddTop({context.bottoms[0][0], window.channels, window.in_h, window.in_w});
    AddParameter(context.param.name(), weights, conv.weight_filler());
    if (has_bias_) AddParameter(context.param.name(), {window.channels}, conv.bias_filler());
  }

  absl::Status Forward(const Pass& pass) override {
    pass.loop.Run(records(), per_piece_, [&](int64_t begin, int64_t end, int64_t, int thread) {
      for (int64_t record = begin; record < end; ++record) ForwardRecord(record, columns(thread), packed(thread));
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    if (wants_weights() || binding().propagate_down[0]) {
      pass.loop.Run(records(), per_piece_, [&](int64_t begin, int64_t end, int64_t piece, int thread) {
        if (wants_weights()) std::fill_n(partial(piece), weight_elements(), 0.0f);
        for (int64_t record = begin; record < end; ++record)
          BackwardRecord(record, columns(thread), packed(thread), partial(piece));
      });
    }
    if (wants_weights()) SumPartials(pass);
    if (has_bias_ && binding().gradients[1] != nullptr) BiasGradient(pass);
  }

 private:
  absl::Status Allocate() override {
    per_piece_ = RecordsPerPiece(static_cast<int>(records()));
    SAMOVAR_RETURN_IF_ERROR(columns_.Allocate(columns_stride() * binding().threads));
    packed_stride_ = std::max({PackedFloats(forward_size()), PackedFloats(weights_size()), PackedFloats(data_size())});
    SAMOVAR_RETURN_IF_ERROR(packed_.Allocate(packed_stride_ * binding().threads));
    return wants_weights() ? partials_.Allocate(partial_stride() * Pieces(records(), per_piece_)) : absl::OkStatus();
  }

  int64_t records() const { return bottom(0).records(); }
  int64_t in_plane() const { return window_.out_plane(); }
  int64_t weight_elements() const { return channels_ * group_taps_; }
  int64_t columns_stride() const { return (groups_ * group_taps_ * in_plane() + 15) / 16 * 16; }
  int64_t partial_stride() const { return (weight_elements() + 15) / 16 * 16; }
  bool wants_weights() const { return binding().gradients[0] != nullptr; }
  // The products of a group of a record: its columns, the gradient of its weights, the gradient of its image.
  ProductSize forward_size() const { return {group_taps_, in_plane(), group_channels_}; }
  ProductSize weights_size() const { return {group_channels_, group_taps_, in_plane()}; }
  ProductSize data_size() const { return {group_channels_, in_plane(), group_taps_}; }
  float* packed(int thread) { return packed_.data() + thread * packed_stride_; }
  float* columns(int thread) { return columns_.data() + thread * columns_stride(); }
  // Gradient of the weights by a piece; null if it is not wanted.
  float* partial(int64_t piece) { return wants_weights() ? partials_.data() + piece * partial_stride() : nullptr; }
  int64_t weights_of(int64_t group) const { return group * group_channels_ * group_taps_; }

  // Channels of a group of a record, [C / group, P].
  int64_t image_of(int64_t record, int64_t group) const {
    return (record * channels_ + group * group_channels_) * in_plane();
  }

  void ForwardRecord(int64_t record, float* columns, float* packed) {
    std::fill_n(columns, groups_ * group_taps_ * in_plane(), 0.0f);
    for (int64_t g = 0; g < groups_; ++g) {
      const Factor weights = {binding().weights[0] + weights_of(g), group_taps_};
      const Factor x = {bottom(0).data + image_of(record, g), in_plane()};
      AddProduct(forward_size(), Transposed(weights), x, columns + g * group_taps_ * in_plane(), in_plane(), packed);
    }
    const int64_t plane = window_.in_plane();
    float* y = top(0).data + record * window_.channels * plane;
    for (int64_t o = 0; o < window_.channels; ++o)
      std::fill_n(y + o * plane, plane, has_bias_ ? binding().weights[1][o] : 0.0f);
    Col2im(window_, columns, in_plane(), y);
  }

  void BackwardRecord(int64_t record, float* columns, float* packed, float* partial) {
    Im2col(window_, top(0).diff + record * window_.channels * window_.in_plane(), columns, in_plane());
    for (int64_t g = 0; g < groups_; ++g) {
      const Factor dy = {columns + g * group_taps_ * in_plane(), in_plane()};
      if (partial != nullptr) {
        const Factor x = {bottom(0).data + image_of(record, g), in_plane()};
        AddProduct(weights_size(), x, Transposed(dy), partial + weights_of(g), group_taps_, packed);
      }
      if (binding().propagate_down[0]) {
        const Factor weights = {binding().weights[0] + weights_of(g), group_taps_};
        float* const diff = bottom(0).diff + image_of(record, g);
        std::fill_n(diff, group_channels_ * in_plane(), 0.0f);
        AddProduct(data_size(), weights, dy, diff, in_plane(), packed);
      }
    }
  }

  void SumPartials(const Pass& pass) {
    constexpr int64_t kElementsPerPiece = 8 << 10;
    pass.loop.Run(weight_elements(), kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      float* __restrict gradient = binding().gradients[0];
      std::copy(partial(0) + begin, partial(0) + end, gradient + begin);
      for (int64_t piece = 1; piece < Pieces(records(), per_piece_); ++piece) {
        const float* __restrict from = partial(piece);
        for (int64_t i = begin; i < end; ++i) gradient[i] += from[i];
      }
    });
  }

  void BiasGradient(const Pass& pass) {
    const Channels view = Channels::Of(top(0).shape, 1, 1);
    pass.loop.Run(view.channels, view.per_piece(), [&](int64_t begin, int64_t end, int64_t, int) {
      double sums[Channels::kMaxPerPiece];
      SumChannels(view, begin, end, sums, [dy = top(0).diff](int64_t i, int64_t) { return double{dy[i]}; });
      for (int64_t o = begin; o < end; ++o) binding().gradients[1][o] = static_cast<float>(sums[o - begin]);
    });
  }

  const Window window_;
  const int64_t channels_;
  const int64_t groups_;
  const int64_t group_channels_;
  const int64_t group_taps_;
  const bool has_bias_;

  int64_t per_piece_ = 0;
  // Per thread: [num_output * taps, P].
  Buffer<float> columns_;
  // Per thread: packed factors of one product.
  int64_t packed_stride_ = 0;
  Buffer<float> packed_;
  // Per piece, as the weights.
  Buffer<float> partials_;
};

absl::StatusOr<int64_t> OutputSize(int64_t in, int64_t kernel, int64_t dilation, int64_t stride, int64_t pad) {
  const int64_t out = stride * (in - 1) + dilation * (kernel - 1) + 1 - 2 * pad;
  if (out < 1) {
    return absl::InvalidArgumentError(absl::StrCat("convolution_param.pad ", pad, " leaves nothing of an output of ",
                                                   out + 2 * pad, " from an input of ", in,
                                                   "; lower it, or raise the kernel or the stride"));
  }
  return out;
}

}  // namespace

LayerOr CreateDeconvolutionLayer(const LayerContext& context) {
  const caffe::ConvolutionParameter& conv = context.param.convolution_param();
  const Shape& in = context.bottoms[0];
  SAMOVAR_RETURN_IF_ERROR(CheckConvolution(conv, in));
  Window w;
  w.channels = conv.num_output();
  w.out_h = in[2];
  w.out_w = in[3];
  SAMOVAR_RETURN_IF_ERROR(ReadWindow(conv, &w));
  SAMOVAR_ASSIGN_OR_RETURN(w.in_h, OutputSize(w.out_h, w.kernel_h, w.dilation_h, w.stride_h, w.pad_h));
  SAMOVAR_ASSIGN_OR_RETURN(w.in_w, OutputSize(w.out_w, w.kernel_w, w.dilation_w, w.stride_w, w.pad_w));
  SAMOVAR_RETURN_IF_ERROR(CheckShape({w.channels, w.kernel_h, w.kernel_w, w.out_h, w.out_w}));
  return std::make_unique<DeconvolutionLayer>(context, w);
}

}  // namespace samovar
