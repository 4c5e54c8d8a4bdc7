// LRN (Krizhevsky et al.: "ImageNet classification with deep convolutional neural networks", 2012): y = x * s^(-beta),
// where
//   ACROSS_CHANNELS   s = k + alpha / n * sum of x^2 over the n = local_size channels around
//   WITHIN_CHANNEL    s = 1 + alpha / n^2 * sum of x^2 over the n x n places around
// and places outside count as 0. With q = dy * x * s^(-beta - 1), and w = alpha / n or alpha / n^2,
//   dx = dy * s^(-beta) - 2 w beta x * sum of q over the same places
// Backward computes s anew, which is cheaper than to keep it. A piece is a tile: all channels of some places of a
// record, or one plane of it.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/buffer.h"
#include "worker/nn/kernels/lrn_kernel.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

// Places that a tile across channels has at most: a few rows of them stay in the first-level cache.
constexpr int64_t kPlacesPerTile = 512;

class LrnLayer : public Layer {
 public:
  LrnLayer(const Shape& in, const caffe::LRNParameter& lrn, bool test)
      : across_(lrn.norm_region() == caffe::LRNParameter::ACROSS_CHANNELS),
        channels_(in[1]),
        height_(in[2]),
        width_(in[3]),
        half_(lrn.local_size() / 2),
        box_(height_, width_, half_),
        beta_(lrn.beta()),
        k_(across_ ? lrn.k() : 1),
        weight_(lrn.alpha() / static_cast<float>(lrn.local_size()) /
                (across_ ? 1 : static_cast<float>(lrn.local_size()))),
        test_(test) {
    AddTop(in);
  }

  // Backward needs x.
  bool can_work_in_place() const override { return test_; }

  absl::Status Forward(const Pass& pass) override {
    ForEachTile(pass, [this](const Tile& tile, const Scratch& scratch) {
      if (direct()) {
        return NormaliseStrip(StripOf(tile), bottom(0).data + tile.first, scratch.space, top(0).data + tile.first);
      }
      ComputePowers(tile, scratch);
      for (int64_t row = 0; row < tile.rows; ++row) {
        const float* x = bottom(0).data + tile.first + row * plane();
        const float* power = scratch.powers + row * tile.width;
        float* y = top(0).data + tile.first + row * plane();
#pragma GCC ivdep
        for (int64_t i = 0; i < tile.width; ++i) y[i] = x[i] * power[i];
      }
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    ForEachTile(pass, [this](const Tile& tile, const Scratch& scratch) {
      if (direct()) {
        return StripGradient(StripOf(tile), bottom(0).data + tile.first, top(0).diff + tile.first, scratch.space,
                             bottom(0).diff + tile.first);
      }
      ComputePowers(tile, scratch);
      for (int64_t row = 0; row < tile.rows; ++row) {
        const int64_t at = row * tile.width;
        const float* __restrict x = bottom(0).data + tile.first + row * plane();
        const float* __restrict dy = top(0).diff + tile.first + row * plane();
        const float* __restrict power = scratch.powers + at;
        const float* __restrict s = scratch.sums + at;
        float* __restrict q = scratch.values + at;
        for (int64_t i = 0; i < tile.width; ++i) q[i] = dy[i] * x[i] * power[i] / s[i];
      }
      SumTile(tile, scratch);
      const float factor = -2 * weight_ * beta_;
      for (int64_t row = 0; row < tile.rows; ++row) {
        const int64_t at = row * tile.width;
        const float* __restrict x = bottom(0).data + tile.first + row * plane();
        const float* __restrict dy = top(0).diff + tile.first + row * plane();
        const float* __restrict power = scratch.powers + at;
        const float* __restrict sum = scratch.sums + at;
        float* __restrict dx = bottom(0).diff + tile.first + row * plane();
        for (int64_t i = 0; i < tile.width; ++i) dx[i] = dy[i] * power[i] + factor * x[i] * sum[i];
      }
    });
  }

 private:
  // Rows of `width` values, the first at `first`, planes apart: channels, or the one plane.
  struct Tile {
    int64_t first;
    int64_t rows;
    int64_t width;
  };

  // A thread's arrays: three as large as a tile, but none of them if direct(); what the kernel needs as space; and a
  // row of doubles.
  struct Scratch {
    float* values;
    float* sums;
    float* powers;
    float* space;
    double* running;
  };

  int64_t plane() const { return height_ * width_; }
  int64_t tile_width() const { return across_ ? std::min(plane(), kPlacesPerTile) : plane(); }
  int64_t tile_rows() const { return across_ ? channels_ : 1; }
  int64_t tile_stride() const {
    if (direct()) return 0;
    return (tile_rows() * tile_width() + 15) / 16 * 16;
  }
  int64_t space_stride() const {
    if (direct()) return ChannelStrip::kSpaceRows * row_stride();
    return across_ ? 0 : (box_.space_elements() + 15) / 16 * 16;
  }
  int64_t row_stride() const { return (tile_width() + 15) / 16 * 16; }

  absl::Status Allocate() override {
    SAMOVAR_RETURN_IF_ERROR(running_.Allocate(row_stride() * binding().threads));
    return scratch_.Allocate((3 * tile_stride() + space_stride()) * binding().threads);
  }

  Scratch ScratchOf(int thread) {
    const int64_t stride = tile_stride();
    float* first = scratch_.data() + (3 * stride + space_stride()) * thread;
    return {first, first + stride, first + 2 * stride, first + 3 * stride, running_.data() + row_stride() * thread};
  }

  template <typename Body>
  void ForEachTile(const Pass& pass, Body body) {
    if (!across_) {
      const int64_t per_piece = std::max<int64_t>(1, (16 << 10) / plane());
      return pass.loop.Run(bottom(0).records() * channels_, per_piece,
                           [&](int64_t begin, int64_t end, int64_t, int thread) {
                             for (int64_t i = begin; i < end; ++i)
                               body(Tile{i * plane(), 1, plane()}, ScratchOf(thread));
                           });
    }
    const int64_t per_record = Pieces(plane(), tile_width());
    const int64_t per_piece = std::max<int64_t>(1, (16 << 10) / (channels_ * tile_width()));
    pass.loop.Run(bottom(0).records() * per_record, per_piece, [&](int64_t begin, int64_t end, int64_t, int thread) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t offset = i % per_record * tile_width();
        body(Tile{i / per_record * channels_ * plane() + offset, channels_, std::min(tile_width(), plane() - offset)},
             ScratchOf(thread));
      }
    });
  }

  // The sums across few channels are made anew for each, and need no arrays as large as a tile.
  bool direct() const { return across_ && half_ <= ChannelStrip::kMostHalf; }
  ChannelStrip StripOf(const Tile& tile) const { return {tile.rows, plane(), tile.width, half_, k_, weight_, beta_}; }

  // sums = the local sums of values
  void SumTile(const Tile& tile, const Scratch& scratch) {
    if (across_) return SumAcross(scratch.values, tile.rows, tile.width, half_, scratch.running, scratch.sums);
    SumWithin(box_, scratch.values, scratch.space, scratch.sums);
  }

  // sums = s and powers = s^(-beta)
  void ComputePowers(const Tile& tile, const Scratch& scratch) {
    for (int64_t row = 0; row < tile.rows; ++row) {
      const float* __restrict x = bottom(0).data + tile.first + row * plane();
      float* __restrict squares = scratch.values + row * tile.width;
      for (int64_t i = 0; i < tile.width; ++i) squares[i] = x[i] * x[i];
    }
    SumTile(tile, scratch);
    ComputePowersOf(scratch.sums, tile.rows * tile.width, scratch.powers);
  }

  // From sums to s, in place, and its power.
  void ComputePowersOf(float* sums, int64_t n, float* powers) const {
    for (int64_t i = 0; i < n; ++i) sums[i] = k_ + weight_ * sums[i];
    NegativePower(sums, n, beta_, powers);
  }

  const bool across_;
  const int64_t channels_, height_, width_;
  const int64_t half_;
  const PlaneBox box_;
  const float beta_, k_, weight_;
  const bool test_;
  // Per thread: see ScratchOf.
  Buffer<float> scratch_;
  Buffer<double> running_;
};

}  // namespace

LayerOr CreateLrnLayer(const LayerContext& context) {
  const caffe::LRNParameter& lrn = context.param.lrn_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(lrn, "lrn_param", {"local_size", "alpha", "beta", "norm_region", "k", "engine"}));
  if (lrn.engine() == caffe::LRNParameter::CUDNN) {
    return absl::UnimplementedError("lrn_param.engine CUDNN needs a GPU, which is not offered; remove the field");
  }
  if (!std::isfinite(lrn.alpha()) || !std::isfinite(lrn.beta()) || !std::isfinite(lrn.k())) {
    return absl::InvalidArgumentError("lrn_param: alpha, beta and k must be finite");
  }
  if (lrn.local_size() % 2 == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("lrn_param.local_size is ", lrn.local_size(), "; give an odd number"));
  }
  if (lrn.norm_region() == caffe::LRNParameter::WITHIN_CHANNEL && lrn.k() != 1) {
    return absl::InvalidArgumentError("lrn_param.k is for norm_region ACROSS_CHANNELS; remove it");
  }
  if (context.bottoms[0].size() != 4) {
    return absl::InvalidArgumentError(
        "LRN needs a bottom of 4 axes: records, channels, height, width; add a Reshape layer");
  }
  return std::make_unique<LrnLayer>(context.bottoms[0], lrn, context.phase == caffe::TEST);
}

}  // namespace samovar
