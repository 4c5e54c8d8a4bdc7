#include "worker/nn/kernels/winograd_kernel.h"

#include <algorithm>
#include <array>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/tile_kernel.h"

namespace samovar {
namespace {

constexpr int64_t kOut = 4;
constexpr int64_t kIn = 6;
constexpr int64_t kTaps = 9;
// Enough rows for the product, few enough for the second-level cache.
constexpr int64_t kMostTiles = 64;
constexpr int64_t kMostImages = 4;

Packet Sub(const Packet& a, const Packet& b) { return Eigen::internal::psub(a, b); }
Packet Times(float factor, const Packet& a) { return Mul(Broadcast(factor), a); }
// a + factor * b
Packet Plus(const Packet& a, float factor, const Packet& b) { return MulAdd(Broadcast(factor), b, a); }

// One side of B' d B, G g G', A' m A and of their adjoints: x and y are `step` packets apart.
struct Input {
  static constexpr int kFrom = 6, kTo = 6;
  static void Apply(const Packet* x, int step, Packet* y, int to) {
    const Packet even = Plus(x[4 * step], -4, x[2 * step]);
    const Packet odd = Plus(x[3 * step], -4, x[step]);
    const Packet even2 = Sub(x[4 * step], x[2 * step]);
    const Packet odd2 = Sub(x[3 * step], x[step]);
    y[0] = Plus(Plus(x[4 * step], -5, x[2 * step]), 4, x[0]);
    y[to] = Add(even, odd);
    y[2 * to] = Sub(even, odd);
    y[3 * to] = Plus(even2, 2, odd2);
    y[4 * to] = Plus(even2, -2, odd2);
    y[5 * to] = Plus(Plus(x[5 * step], -5, x[3 * step]), 4, x[step]);
  }
};
struct Weight {
  static constexpr int kFrom = 3, kTo = 6;
  static void Apply(const Packet* x, int step, Packet* y, int to) {
    const Packet outer = Times(-1.0f / 6, Add(x[0], x[2 * step]));
    const Packet wide = Plus(Times(1.0f / 24, x[0]), 1.0f / 6, x[2 * step]);
    y[0] = Times(0.25f, x[0]);
    y[to] = Plus(outer, -1.0f / 6, x[step]);
    y[2 * to] = Plus(outer, 1.0f / 6, x[step]);
    y[3 * to] = Plus(wide, 1.0f / 12, x[step]);
    y[4 * to] = Plus(wide, -1.0f / 12, x[step]);
    y[5 * to] = x[2 * step];
  }
};
struct WeightGradient {
  static constexpr int kFrom = 6, kTo = 3;
  static void Apply(const Packet* x, int step, Packet* y, int to) {
    const Packet near = Add(x[step], x[2 * step]);
    const Packet far = Add(x[3 * step], x[4 * step]);
    y[0] = Plus(Plus(Times(0.25f, x[0]), -1.0f / 6, near), 1.0f / 24, far);
    y[to] = Plus(Times(1.0f / 6, Sub(x[2 * step], x[step])), 1.0f / 12, Sub(x[3 * step], x[4 * step]));
    y[2 * to] = Plus(x[5 * step], 1.0f / 6, Sub(far, near));
  }
};
struct Output {
  static constexpr int kFrom = 6, kTo = 4;
  static void Apply(const Packet* x, int step, Packet* y, int to) {
    const Packet near = Add(x[step], x[2 * step]);
    const Packet near_odd = Sub(x[step], x[2 * step]);
    const Packet far = Add(x[3 * step], x[4 * step]);
    const Packet far_odd = Sub(x[3 * step], x[4 * step]);
    y[0] = Add(Add(x[0], near), far);
    y[to] = Plus(near_odd, 2, far_odd);
    y[2 * to] = Plus(near, 4, far);
    y[3 * to] = Plus(Add(near_odd, x[5 * step]), 8, far_odd);
  }
};
struct Diff {
  static constexpr int kFrom = 4, kTo = 6;
  static void Apply(const Packet* x, int step, Packet* y, int to) {
    const Packet even = Add(x[0], x[2 * step]);
    const Packet odd = Add(x[step], x[3 * step]);
    const Packet even2 = Plus(x[0], 4, x[2 * step]);
    const Packet odd2 = Plus(Times(2, x[step]), 8, x[3 * step]);
    y[0] = x[0];
    y[to] = Add(even, odd);
    y[2 * to] = Sub(even, odd);
    y[3 * to] = Add(even2, odd2);
    y[4 * to] = Sub(even2, odd2);
    y[5 * to] = x[3 * step];
  }
};

// Both sides: from [kFrom, kFrom] to [kTo, kTo].
template <typename Side>
inline void Transform(const Packet* from, Packet* to) {
  Packet half[Side::kTo * Side::kFrom];
#pragma GCC unroll 6
  for (int j = 0; j < Side::kFrom; ++j) Side::Apply(from + j, Side::kFrom, half + j, Side::kFrom);
#pragma GCC unroll 6
  for (int i = 0; i < Side::kTo; ++i) Side::Apply(half + i * Side::kFrom, 1, to + i * Side::kTo, 1);
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

template <typename Side, int64_t size>
void TransformSquares(const WinogradPlan& plan, const TileRows& rows, const float* image, int64_t row, int64_t channels,
                      int64_t height, int64_t width, float* tiles) {
  const int64_t element = plan.element(channels);
  float* to = tiles + rows.slot * channels;
  for (int64_t ty = rows.first; ty < rows.end; ++ty) {
    for (int64_t tx = 0; tx < plan.tiles_w; ++tx, to += channels) {
      const auto places = Places<size>(image, row, channels, height, width, ty * kOut, tx * kOut);
      for (int64_t c = 0; c < channels; c += kPacketSize) {
        Packet from[size * size];
        Packet result[kIn * kIn];
#pragma GCC unroll 36
        for (size_t i = 0; i < size * size; ++i) from[i] = places[i] == nullptr ? Broadcast(0) : Load(places[i] + c);
        Transform<Side>(from, result);
#pragma GCC unroll 36
        for (int64_t i = 0; i < kIn * kIn; ++i) Store(to + i * element + c, result[i]);
      }
    }
  }
}

// body(first packet, packets) for the blocks of the outputs, as in convolution_kernel.cc.
template <typename Body>
void ForEachBlock(int64_t all, Body body) {
  for (int64_t first = 0, packets; first < all; first += packets) {
    packets = TilePackets(all - first);
    body(first, packets);
  }
}

// The weights of a packet of outputs, a packet for each place of the kernel.
void LoadWeights(const float* weights, int64_t stride, bool flipped, Packet* packets) {
  float lanes[kTaps][kPacketSize];
  for (int64_t lane = 0; lane < kPacketSize; ++lane) {
    const float* const from = weights + lane * stride;
    for (int64_t i = 0; i < kTaps; ++i) lanes[i][lane] = from[flipped ? kTaps - 1 - i : i];
  }
  for (int64_t i = 0; i < kTaps; ++i) packets[i] = Load(lanes[i]);
}

constexpr int64_t kFirstRow = 0;

}  // namespace

bool WinogradPlan::Suits(const ConvolutionPlan& plan) {
  const Window& w = plan.window;
  const bool fits = w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 && w.stride_w == 1 && w.dilation_h == 1 &&
                    w.dilation_w == 1 && w.channels % 16 == 0 && plan.outputs % 16 == 0;
  return fits && w.out_h >= kOut && w.out_w >= kOut;
}

WinogradPlan::WinogradPlan(const ConvolutionPlan& plan)
    : channels(plan.window.channels),
      outputs(plan.outputs),
      in_h(plan.window.in_h + 2 * plan.window.pad_h),
      in_w(plan.window.in_w + 2 * plan.window.pad_w),
      out_h(plan.window.out_h),
      out_w(plan.window.out_w),
      tiles_h((out_h + kOut - 1) / kOut),
      tiles_w((out_w + kOut - 1) / kOut),
      rows(std::clamp<int64_t>(kMostTiles / tiles_w, 1, tiles_h)),
      images(std::clamp<int64_t>(kMostTiles / (tiles_h * tiles_w), 1, kMostImages)) {}

void TransformWeights(const WinogradPlan& plan, const float* weights, bool flipped, float* transformed) {
  const int64_t element = plan.channels * plan.outputs;
  const int64_t of_output = flipped ? kTaps : plan.channels * kTaps;
  const int64_t of_channel = flipped ? plan.outputs * kTaps : kTaps;
  ForEachBlock(PacketsFor(plan.outputs), [&](int64_t first, int64_t packets) {
    const int64_t step = packets * kPacketSize;
    const int64_t begin = first * kPacketSize;
    for (int64_t c = 0; c < plan.channels; ++c) {
      for (int64_t o = 0; o < step; o += kPacketSize) {
        Packet from[kTaps];
        Packet result[kIn * kIn];
        LoadWeights(weights + c * of_channel + (begin + o) * of_output, of_output, flipped, from);
        Transform<Weight>(from, result);
        float* to = transformed + begin * plan.channels + c * step + o;
        for (int64_t i = 0; i < kIn * kIn; ++i) Store(to + i * element, result[i]);
      }
    }
  });
}

void TransformInput(const WinogradPlan& plan, const TileRows& rows, const float* image, float* tiles) {
  TransformSquares<Input, kIn>(plan, rows, image, plan.in_w * plan.channels, plan.channels, plan.in_h, plan.in_w,
                               tiles);
}

void TransformDiff(const WinogradPlan& plan, const TileRows& rows, const float* diff, int64_t diff_row, float* tiles) {
  TransformSquares<Diff, kOut>(plan, rows, diff, diff_row, plan.outputs, plan.out_h, plan.out_w, tiles);
}

void MultiplyTiles(const WinogradPlan& plan, int64_t tiles, const float* inputs, const float* weights,
                   float* products) {
  TileProduct product;
  product.a_rows = &kFirstRow;
  product.a_tile = plan.channels;
  product.rows = 1;
  product.depth = plan.channels;
  product.c_tile = plan.outputs;
  for (int64_t i = 0; i < kWinogradElements; ++i) {
    product.a = inputs + i * plan.element(plan.channels);
    ForEachBlock(PacketsFor(plan.outputs), [&](int64_t first, int64_t packets) {
      const int64_t begin = first * kPacketSize;
      product.b = weights + (i * plan.outputs + begin) * plan.channels;
      product.b_step = packets * kPacketSize;
      product.c = products + i * plan.element(plan.outputs) + begin;
      RunTiles(product, tiles, packets);
    });
  }
}

void TransformOutput(const WinogradPlan& plan, const TileRows& rows, const float* products, const float* bias,
                     float* out) {
  const int64_t element = plan.element(plan.outputs);
  const float* tile = products + rows.slot * plan.outputs;
  for (int64_t ty = rows.first; ty < rows.end; ++ty) {
    for (int64_t tx = 0; tx < plan.tiles_w; ++tx, tile += plan.outputs) {
      float* const to = out + (ty * kOut * plan.out_w + tx * kOut) * plan.outputs;
      const int64_t height = std::min(kOut, plan.out_h - ty * kOut);
      const int64_t width = std::min(kOut, plan.out_w - tx * kOut);
      for (int64_t o = 0; o < plan.outputs; o += kPacketSize) {
        Packet from[kIn * kIn];
        Packet result[kOut * kOut];
#pragma GCC unroll 36
        for (int64_t i = 0; i < kIn * kIn; ++i) from[i] = Load(tile + i * element + o);
        Transform<Output>(from, result);
        const Packet first = bias == nullptr ? Broadcast(0) : Load(bias + o);
        for (int64_t i = 0; i < height; ++i) {
          for (int64_t j = 0; j < width; ++j)
            Store(to + (i * plan.out_w + j) * plan.outputs + o, Add(first, result[i * kOut + j]));
        }
      }
    }
  }
}

void AddTilesGradient(const WinogradPlan& plan, int64_t tiles, const float* inputs, const float* diffs,
                      float* gradient) {
  TileProduct product;
  product.a_rows = &kFirstRow;
  product.a_step = plan.channels;
  product.b_step = plan.outputs;
  product.rows = 1;
  product.depth = tiles;
  product.c_tile = plan.outputs;
  product.add = true;
  for (int64_t i = 0; i < kWinogradElements; ++i) {
    product.a = inputs + i * plan.element(plan.channels);
    ForEachBlock(PacketsFor(plan.outputs), [&](int64_t first, int64_t packets) {
      const int64_t begin = first * kPacketSize;
      product.b = diffs + i * plan.element(plan.outputs) + begin;
      product.c = gradient + i * plan.channels * plan.outputs + begin;
      RunTiles(product, plan.channels, packets);
    });
  }
}

void AddWinogradGradient(const WinogradPlan& plan, const float* gradient, float* dense) {
  const int64_t element = plan.channels * plan.outputs;
  for (int64_t at = 0; at < element; at += kPacketSize) {
    Packet from[kIn * kIn];
    Packet result[kTaps];
    for (int64_t i = 0; i < kIn * kIn; ++i) from[i] = Load(gradient + i * element + at);
    Transform<WeightGradient>(from, result);
    for (int64_t i = 0; i < kTaps; ++i) Store(dense + i * element + at, Add(Load(dense + i * element + at), result[i]));
  }
}

}  // namespace samovar
