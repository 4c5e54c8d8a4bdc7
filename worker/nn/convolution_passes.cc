// Forward and backward of ConvolutionLayer; its prototxt is read in convolution_layer.cc.
#include <algorithm>

#include "common/base/status_macros.h"
#include "worker/nn/convolution_layer.h"
#include "worker/nn/eigen.h"
#include "worker/nn/im2col.h"

namespace samovar {
namespace {

// Columns of one product: enough for full speed, and little enough for K * 512 floats to stay in the second-level cache.
constexpr int64_t kColumnsPerProduct = 512;

// Per-thread and per-piece arrays begin on lines of their own.
int64_t RoundUp(int64_t elements) { return (elements + 15) / 16 * 16; }

// The sum of n floats in eight lanes and then across them: an order that no compiler or alignment changes.
float Sum(const float* x, int64_t n) {
  float lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += x[i + lane];
  }
  for (; i < n; ++i) lanes[i % 8] += x[i];
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

}  // namespace

absl::Status ConvolutionLayer::Allocate() {
  records_per_piece_ = RecordsPerPiece(static_cast<int>(bottom(0).records()));
  images_per_block_ = std::clamp<int64_t>(kColumnsPerProduct / window_.out_plane(), 1, records_per_piece_);
  const int64_t width = images_per_block_ * window_.out_plane();
  columns_stride_ = RoundUp(window_.channels * window_.taps() * width);
  SAMOVAR_RETURN_IF_ERROR(columns_.Allocate(columns_stride_ * binding().threads));
  if (images_per_block_ > 1) {
    gathered_stride_ = RoundUp(outputs_ * width);
    SAMOVAR_RETURN_IF_ERROR(gathered_.Allocate(gathered_stride_ * binding().threads));
  }
  if (wants_weights() || wants_bias()) {
    partial_stride_ = RoundUp(outputs_ * (group_taps_ + 1));
    SAMOVAR_RETURN_IF_ERROR(partials_.Allocate(partial_stride_ * Pieces(static_cast<int>(bottom(0).records()), records_per_piece_)));
  }
  return absl::OkStatus();
}

double ConvolutionLayer::forward_flops() const {
  const double products = static_cast<double>(Elements(top_shapes()[0])) * static_cast<double>(group_taps_);
  return 2 * products + (has_bias_ ? static_cast<double>(Elements(top_shapes()[0])) : 0);
}

double ConvolutionLayer::backward_flops() const {
  const double outputs = static_cast<double>(Elements(top_shapes()[0]));
  const double products = outputs * static_cast<double>(group_taps_);
  return (wants_weights() ? 2 * products : 0) + (wants_bias() ? outputs : 0) + (binding().propagate_down[0] ? 2 * products : 0);
}

void ConvolutionLayer::FillColumns(Block block, float* columns) {
  const int64_t width = block.images * window_.out_plane();
  for (int64_t i = 0; i < block.images; ++i) {
    Im2col(window_, bottom(0).data + (block.first + i) * bottom_record(), columns + i * window_.out_plane(), width);
  }
}

absl::Status ConvolutionLayer::Forward(const Pass& pass) {
  pass.loop.Run(bottom(0).records(), records_per_piece_, [&](int64_t begin, int64_t end, int64_t, int thread) {
    for (int64_t first = begin; first < end; first += images_per_block_) {
      ForwardBlock({first, std::min(images_per_block_, end - first)}, thread);
    }
  });
  return absl::OkStatus();
}

void ConvolutionLayer::ForwardBlock(Block block, int thread) {
  const int64_t plane = window_.out_plane();
  const int64_t width = block.images * plane;
  FillColumns(block, columns(thread));
  float* out = block.images == 1 ? top(0).data + block.first * top_record() : gathered(thread);
  for (int64_t o = 0; o < outputs_; ++o) {
    std::fill(out + o * width, out + (o + 1) * width, has_bias_ ? binding().weights[1][o] : 0.0f);
  }
  for (int64_t g = 0; g < groups_; ++g) {
    const ConstMatrixMap weights(binding().weights[0] + g * group_outputs_ * group_taps_, group_outputs_, group_taps_);
    const ConstMatrixMap columns_g(columns(thread) + g * group_taps_ * width, group_taps_, width);
    MatrixMap(out + g * group_outputs_ * width, group_outputs_, width).noalias() += weights * columns_g;
  }
  if (block.images == 1) return;
  for (int64_t i = 0; i < block.images; ++i) {
    float* image = top(0).data + (block.first + i) * top_record();
    for (int64_t o = 0; o < outputs_; ++o) std::copy_n(out + o * width + i * plane, plane, image + o * plane);
  }
}

const float* ConvolutionLayer::GatherDiff(Block block, int thread) {
  const int64_t plane = window_.out_plane();
  const int64_t width = block.images * plane;
  if (block.images == 1) return top(0).diff + block.first * top_record();
  for (int64_t i = 0; i < block.images; ++i) {
    const float* image = top(0).diff + (block.first + i) * top_record();
    for (int64_t o = 0; o < outputs_; ++o) std::copy_n(image + o * plane, plane, gathered(thread) + o * width + i * plane);
  }
  return gathered(thread);
}

void ConvolutionLayer::Backward(const Pass& pass) {
  pass.loop.Run(bottom(0).records(), records_per_piece_, [&](int64_t begin, int64_t end, int64_t piece, int thread) {
    for (int64_t first = begin; first < end; first += images_per_block_) {
      BackwardBlock({first, std::min(images_per_block_, end - first)}, first == begin, piece, thread);
    }
  });
  SumPartials(pass);
}

void ConvolutionLayer::BackwardBlock(Block block, bool first_of_piece, int64_t piece, int thread) {
  const int64_t width = block.images * window_.out_plane();
  const float* top_diff = GatherDiff(block, thread);
  if (wants_weights()) {
    FillColumns(block, columns(thread));
    for (int64_t g = 0; g < groups_; ++g) {
      const int64_t offset = g * group_outputs_ * group_taps_;
      MatrixMap gradient(partial(piece) + offset, group_outputs_, group_taps_);
      if (first_of_piece) gradient.setZero();
      gradient.noalias() += ConstMatrixMap(top_diff + g * group_outputs_ * width, group_outputs_, width) *
                            ConstMatrixMap(columns(thread) + g * group_taps_ * width, group_taps_, width).transpose();
    }
  }
  if (wants_bias()) {
    float* gradient = partial(piece) + outputs_ * group_taps_;
    for (int64_t o = 0; o < outputs_; ++o) {
      gradient[o] = (first_of_piece ? 0.0f : gradient[o]) + Sum(top_diff + o * width, width);
    }
  }
  if (binding().propagate_down[0]) DataGradient(block, top_diff, thread);
}

void ConvolutionLayer::DataGradient(Block block, const float* top_diff, int thread) {
  const int64_t width = block.images * window_.out_plane();
  for (int64_t g = 0; g < groups_; ++g) {
    const ConstMatrixMap weights(binding().weights[0] + g * group_outputs_ * group_taps_, group_outputs_, group_taps_);
    MatrixMap(columns(thread) + g * group_taps_ * width, group_taps_, width).noalias() =
        weights.transpose() * ConstMatrixMap(top_diff + g * group_outputs_ * width, group_outputs_, width);
  }
  for (int64_t i = 0; i < block.images; ++i) {
    float* image = bottom(0).diff + (block.first + i) * bottom_record();
    std::fill_n(image, bottom_record(), 0.0f);
    Col2im(window_, columns(thread) + i * window_.out_plane(), width, image);
  }
}

void ConvolutionLayer::SumPartials(const Pass& pass) {
  constexpr int64_t kElementsPerPiece = 8 << 10;
  const int64_t pieces = Pieces(bottom(0).records(), records_per_piece_);
  auto sum = [&](int64_t offset, int64_t count, float* gradient) {
    pass.loop.Run(count, kElementsPerPiece, [&](int64_t begin, int64_t end, int64_t, int) {
      std::copy(partial(0) + offset + begin, partial(0) + offset + end, gradient + begin);
      for (int64_t piece = 1; piece < pieces; ++piece) {
        const float* __restrict from = partial(piece) + offset;
        float* __restrict to = gradient;
        for (int64_t i = begin; i < end; ++i) to[i] += from[i];
      }
    });
  };
  if (wants_weights()) sum(0, outputs_ * group_taps_, binding().gradients[0]);
  if (wants_bias()) sum(outputs_ * group_taps_, outputs_, binding().gradients[1]);
}

}  // namespace samovar
