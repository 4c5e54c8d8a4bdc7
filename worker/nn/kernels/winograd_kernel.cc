#include "worker/nn/kernels/winograd_kernel.h"

#include <algorithm>
#include <array>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/tile_kernel.h"
#include "worker/nn/kernels/winograd_five.h"
#include "worker/nn/kernels/winograd_sides.h"

namespace samovar {
namespace {

using winograd::Five;
using winograd::Three;
using winograd::Transform;

// Enough rows for the product, few enough for the second-level cache.
constexpr int64_t kMostTileElements = 64 * 36;
constexpr int64_t kMostImages = 8;

// body(Three or Five), as the plan's kernels are.
template <typename Body>
void WithKernel(const WinogradPlan& plan, Body body) {
  if (plan.kernel == 3) return body(Three());
  body(Five());
}

// The places of a square of `size` values that begins at (y, x) of an image of height x width; null: outside.
template <int64_t size>
std::array<const float*, size * size> Places(const float* image, int64_t row, int64_t channels, int64_t height,
                                             int64_t width, int64_t y, int64_t x) {
  std::array<const float*, size * size> places;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j < size; ++j) {
      const bool inside = y + i < height && x + j < width;
      places[static_cast<size_t>(i * size + j)] = inside ? image + (y + i) * row + (x + j) * channels : nullptr;
    }
  }
  return places;
}

// An image whose rows, and places, are so many floats apart.
struct Image {
  const float* data;
  int64_t row, place;
  int64_t height, width;
};

// lanes: of the tiles, whole packets.
template <typename Side>
void TransformSquares(const WinogradPlan& plan, const TileRows& rows, const Image& image, int64_t lanes, float* tiles) {
  constexpr int64_t size = Side::kFrom;
  constexpr int64_t kTo = Side::kTo * Side::kTo;
  const int64_t element = plan.element(lanes);
  float* to = tiles + rows.slot * lanes;
  for (int64_t ty = rows.first; ty < rows.end; ++ty) {
    for (int64_t tx = 0; tx < plan.tiles_w; ++tx, to += lanes) {
      const auto places =
          Places<size>(image.data, image.row, image.place, image.height, image.width, ty * plan.side, tx * plan.side);
      for (int64_t c = 0; c < lanes; c += kPacketSize) {
        Packet from[size * size];
        Packet result[kTo];
#pragma GCC unroll 64
        for (size_t i = 0; i < size * size; ++i) from[i] = places[i] == nullptr ? Broadcast(0) : Load(places[i] + c);
        Transform<Side>(from, result);
#pragma GCC unroll 64
        for (int64_t i = 0; i < kTo; ++i) Store(to + i * element + c, result[i]);
      }
    }
  }
}

// The weights of a packet of outputs, a packet for each place of the kernel.
template <int64_t taps>
void LoadWeights(const float* weights, int64_t stride, int64_t outputs, bool flipped, Packet* packets) {
  float lanes[taps][kPacketSize] = {};
  for (int64_t lane = 0; lane < std::min(outputs, kPacketSize); ++lane) {
    const float* const from = weights + lane * stride;
    for (int64_t i = 0; i < taps; ++i) lanes[i][lane] = from[flipped ? taps - 1 - i : i];
  }
  for (int64_t i = 0; i < taps; ++i) packets[i] = Load(lanes[i]);
}

template <typename Side>
void TransformWeightsOf(const WinogradPlan& plan, const float* weights, bool flipped, float* transformed) {
  constexpr int64_t kTaps = Side::kFrom * Side::kFrom;
  constexpr int64_t kTo = Side::kTo * Side::kTo;
  const int64_t element = plan.channels * plan.width_out;
  const int64_t of_output = flipped ? kTaps : plan.channels * kTaps;
  const int64_t of_channel = flipped ? plan.outputs * kTaps : kTaps;
  ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
    const int64_t begin = block.begin;
    for (int64_t c = 0; c < plan.channels; ++c) {
      for (int64_t o = 0; o < block.width(); o += kPacketSize) {
        Packet from[kTaps];
        Packet result[kTo];
        LoadWeights<kTaps>(weights + c * of_channel + (begin + o) * of_output, of_output, plan.outputs - begin - o,
                           flipped, from);
        Transform<Side>(from, result);
        float* to = transformed + begin * plan.channels + c * block.width() + o;
        for (int64_t i = 0; i < kTo; ++i) Store(to + i * element, result[i]);
      }
    }
  });
}

template <typename Side>
void TransformOutputOf(const WinogradPlan& plan, const TileRows& rows, const float* products, const float* bias,
                       float* out) {
  constexpr int64_t kSide = Side::kTo;
  constexpr int64_t kFrom = Side::kFrom * Side::kFrom;
  const int64_t lanes = plan.width_out, element = plan.element(lanes);
  const float* tile = products + rows.slot * lanes;
  for (int64_t ty = rows.first; ty < rows.end; ++ty) {
    for (int64_t tx = 0; tx < plan.tiles_w; ++tx, tile += lanes) {
      float* const to = out + (ty * kSide * plan.out_w + tx * kSide) * lanes;
      const int64_t height = std::min(kSide, plan.out_h - ty * kSide);
      const int64_t width = std::min(kSide, plan.out_w - tx * kSide);
      for (int64_t o = 0; o < lanes; o += kPacketSize) {
        Packet from[kFrom];
        Packet result[kSide * kSide];
#pragma GCC unroll 64
        for (int64_t i = 0; i < kFrom; ++i) from[i] = Load(tile + i * element + o);
        Transform<Side>(from, result);
        const Packet first = bias == nullptr ? Broadcast(0) : Load(bias + o);
        for (int64_t i = 0; i < height; ++i) {
          for (int64_t j = 0; j < width; ++j)
            Store(to + (i * plan.out_w + j) * lanes + o, Add(first, result[i * kSide + j]));
        }
      }
    }
  }
}

template <typename Side>
void AddGradientOf(const WinogradPlan& plan, const float* gradient, float* dense) {
  constexpr int64_t kTaps = Side::kTo * Side::kTo;
  constexpr int64_t kFrom = Side::kFrom * Side::kFrom;
  const int64_t element = plan.channels * plan.width_out;
  for (int64_t at = 0; at < element; at += kPacketSize) {
    Packet from[kFrom];
    Packet result[kTaps];
    for (int64_t i = 0; i < kFrom; ++i) from[i] = Load(gradient + i * element + at);
    Transform<Side>(from, result);
    for (int64_t i = 0; i < kTaps; ++i) Store(dense + i * element + at, Add(Load(dense + i * element + at), result[i]));
  }
}

constexpr int64_t kFirstRow = 0;

}  // namespace

bool WinogradPlan::Suits(const ConvolutionPlan& plan) {
  const Window& w = plan.window;
  const bool square = w.kernel_h == w.kernel_w && (w.kernel_h == 3 || w.kernel_h == 5);
  const bool plain = w.stride_h == 1 && w.stride_w == 1 && w.dilation_h == 1 && w.dilation_w == 1;
  return square && plain && w.channels >= 16 && plan.outputs >= 16 && w.out_h >= 4 && w.out_w >= 4;
}

WinogradPlan::WinogradPlan(const ConvolutionPlan& plan, int64_t channels)
    : channels(channels),
      outputs(plan.outputs),
      place(plan.window.channels),
      width_in(RoundUpToPackets(channels)),
      width_out(plan.width),
      kernel(plan.window.kernel_h),
      side(kernel == 3 ? Three::Output::kTo : Five::Output::kTo),
      side_in(kernel == 3 ? Three::Input::kFrom : Five::Input::kFrom),
      in_h(plan.window.in_h + 2 * plan.window.pad_h),
      in_w(plan.window.in_w + 2 * plan.window.pad_w),
      out_h(plan.window.out_h),
      out_w(plan.window.out_w),
      tiles_h((out_h + side - 1) / side),
      tiles_w((out_w + side - 1) / side),
      rows(std::clamp<int64_t>(kMostTileElements / (elements() * tiles_w), 1, tiles_h)),
      images(std::clamp<int64_t>(kMostTileElements / (elements() * tiles_h * tiles_w), 1, kMostImages)) {}

void TransformWeights(const WinogradPlan& plan, const float* weights, bool flipped, float* transformed) {
  WithKernel(plan, [&](auto kernel) {
    TransformWeightsOf<typename decltype(kernel)::Weight>(plan, weights, flipped, transformed);
  });
}

void TransformInput(const WinogradPlan& plan, const TileRows& rows, const float* image, float* tiles) {
  WithKernel(plan, [&](auto kernel) {
    TransformSquares<typename decltype(kernel)::Input>(
        plan, rows, {image, plan.in_w * plan.place, plan.place, plan.in_h, plan.in_w}, plan.width_in, tiles);
  });
}

void TransformDiff(const WinogradPlan& plan, const TileRows& rows, const float* diff, int64_t diff_row, float* tiles) {
  WithKernel(plan, [&](auto kernel) {
    TransformSquares<typename decltype(kernel)::Diff>(
        plan, rows, {diff, diff_row, plan.width_out, plan.out_h, plan.out_w}, plan.width_out, tiles);
  });
}

void MultiplyTiles(const WinogradPlan& plan, int64_t tiles, const float* inputs, const float* weights,
                   float* products) {
  TileProduct product;
  product.a_rows = &kFirstRow;
  product.a_tile = plan.width_in;
  product.rows = 1;
  product.depth = plan.channels;
  product.c_tile = plan.width_out;
  for (int64_t i = 0; i < plan.elements(); ++i) {
    product.a = inputs + i * plan.element(plan.width_in);
    ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
      product.b = weights + (i * plan.width_out + block.begin) * plan.channels;
      product.b_step = block.width();
      product.c = products + i * plan.element(plan.width_out) + block.begin;
      RunTiles(product, tiles, block);
    });
  }
}

void TransformOutput(const WinogradPlan& plan, const TileRows& rows, const float* products, const float* bias,
                     float* out) {
  WithKernel(plan, [&](auto kernel) {
    TransformOutputOf<typename decltype(kernel)::Output>(plan, rows, products, bias, out);
  });
}

void AddTilesGradient(const WinogradPlan& plan, int64_t tiles, const float* inputs, const float* diffs,
                      float* gradient) {
  TileProduct product;
  product.a_rows = &kFirstRow;
  product.a_step = plan.width_in;
  product.b_step = plan.width_out;
  product.rows = 1;
  product.depth = tiles;
  product.c_tile = plan.width_out;
  product.add = true;
  for (int64_t i = 0; i < plan.elements(); ++i) {
    product.a = inputs + i * plan.element(plan.width_in);
    ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
      product.b = diffs + i * plan.element(plan.width_out) + block.begin;
      product.c = gradient + i * plan.channels * plan.width_out + block.begin;
      RunTiles(product, plan.channels, block);
    });
  }
}

void AddWinogradGradient(const WinogradPlan& plan, const float* gradient, float* dense) {
  WithKernel(plan,
             [&](auto kernel) { AddGradientOf<typename decltype(kernel)::WeightGradient>(plan, gradient, dense); });
}

}  // namespace samovar
