#include "worker/nn/kernels/pooling_kernel.h"

#include <algorithm>
#include <bit>
#include <cfloat>

#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

// Part of one window that lies in the image, and the number of values it is the mean of.
struct Clip {
  int64_t h_begin, h_end, w_begin, w_end, count;
};

Clip ClipWindow(const Window& w, int64_t oh, int64_t ow) {
  const int64_t h_begin = oh * w.stride_h - w.pad_h;
  const int64_t w_begin = ow * w.stride_w - w.pad_w;
  const int64_t h_end = std::min(h_begin + w.kernel_h, w.in_h + w.pad_h);
  const int64_t w_end = std::min(w_begin + w.kernel_w, w.in_w + w.pad_w);
  return {std::max<int64_t>(h_begin, 0), std::min(h_end, w.in_h), std::max<int64_t>(w_begin, 0),
          std::min(w_end, w.in_w), (h_end - h_begin) * (w_end - w_begin)};
}

// body(clip, offset of the output) for every window.
template <typename Body>
inline void ForEachWindow(const Window& w, int64_t width, Body body) {
  for (int64_t oh = 0; oh < w.out_h; ++oh) {
    for (int64_t ow = 0; ow < w.out_w; ++ow) body(ClipWindow(w, oh, ow), (oh * w.out_w + ow) * width);
  }
}

Packet BroadcastBits(int32_t bits) { return Broadcast(std::bit_cast<float>(bits)); }

// The maximum of a packet of channels so far, and its place.
template <PoolRelu kRelu, bool kPlaces>
struct Maximum {
  Packet best = Broadcast(-FLT_MAX);
  Packet at = BroadcastBits(-1);

  void Take(const float* values, int64_t place) {
    Packet value = Load(values);
    if (kRelu == PoolRelu::kBelow) value = Relu(value);
    const Mask better = Less(best, value);
    best = Select(better, value, best);
    if (kPlaces) at = Select(better, BroadcastBits(static_cast<int32_t>(place)), at);
  }
};

// kSide: of the kernel, a square; or 0, any. Windows that lie in the image as a whole then have loops of fixed length.
template <PoolRelu kRelu, bool kPlaces, int kSide>
void MaxPool(const Window& w, int64_t packets, const float* in, float* out, float* at) {
  const int64_t width = packets * kPacketSize;
  ForEachWindow(w, width, [&](const Clip& clip, int64_t place) {
    const int64_t begin = clip.h_begin * w.in_w + clip.w_begin;
    const int64_t rows = clip.h_end - clip.h_begin, columns = clip.w_end - clip.w_begin;
    const bool whole = kSide > 0 && rows == kSide && columns == kSide;
    for (int64_t c = 0; c < width; c += kPacketSize) {
      Maximum<kRelu, kPlaces> maximum;
      const float* const first = in + begin * width + c;
      const auto take = [&](int64_t y, int64_t x) {
        const int64_t step = y * w.in_w + x;
        maximum.Take(first + step * width, begin + step);
      };
      if (whole) {
#pragma GCC unroll 3
        for (int y = 0; y < kSide; ++y) {
#pragma GCC unroll 3
          for (int x = 0; x < kSide; ++x) take(y, x);
        }
      } else {
        for (int64_t y = 0; y < rows; ++y) {
          for (int64_t x = 0; x < columns; ++x) take(y, x);
        }
      }
      const Packet best = maximum.best;
      Store(out + place + c, kRelu == PoolRelu::kAbove ? Relu(best) : best);
      if (!kPlaces) continue;
      const bool dies = kRelu != PoolRelu::kNone;
      Store(at + place + c, dies ? Select(Less(Broadcast(0), best), maximum.at, BroadcastBits(-1)) : maximum.at);
    }
  });
}

template <PoolRelu kRelu, bool kPlaces>
void MaxPoolOfSide(const Window& w, int64_t packets, const float* in, float* out, float* at) {
  const int64_t side = w.kernel_h == w.kernel_w ? w.kernel_h : 0;
  if (side == 2) return MaxPool<kRelu, kPlaces, 2>(w, packets, in, out, at);
  if (side == 3) return MaxPool<kRelu, kPlaces, 3>(w, packets, in, out, at);
  MaxPool<kRelu, kPlaces, 0>(w, packets, in, out, at);
}

template <PoolRelu kRelu>
void MaxPoolWithRelu(const Window& w, int64_t packets, const float* in, float* out, float* at) {
  if (at == nullptr) return MaxPoolOfSide<kRelu, false>(w, packets, in, out, at);
  MaxPoolOfSide<kRelu, true>(w, packets, in, out, at);
}

}  // namespace

void MaxPoolForward(const Window& w, int64_t packets, PoolRelu relu, const float* in, float* out, float* at) {
  switch (relu) {
    case PoolRelu::kNone:
      return MaxPoolWithRelu<PoolRelu::kNone>(w, packets, in, out, at);
    case PoolRelu::kBelow:
      return MaxPoolWithRelu<PoolRelu::kBelow>(w, packets, in, out, at);
    case PoolRelu::kAbove:
      return MaxPoolWithRelu<PoolRelu::kAbove>(w, packets, in, out, at);
  }
}

void MaxPoolBackward(const Window& w, const float* out_diff, const float* at, float* in_diff) {
  std::fill_n(in_diff, w.in_plane(), 0.0f);
  for (int64_t i = 0; i < w.out_plane(); ++i) {
    const int32_t place = std::bit_cast<int32_t>(at[i]);
    if (place >= 0) in_diff[place] += out_diff[i];
  }
}

void AveragePoolForward(const Window& w, int64_t packets, const float* in, float* out) {
  const int64_t width = packets * kPacketSize;
  ForEachWindow(w, width, [&](const Clip& clip, int64_t place) {
    const Packet count = Broadcast(static_cast<float>(clip.count));
    for (int64_t c = 0; c < width; c += kPacketSize) {
      Packet sum = Broadcast(0);
      for (int64_t y = clip.h_begin; y < clip.h_end; ++y) {
        for (int64_t x = clip.w_begin; x < clip.w_end; ++x) sum = Add(sum, Load(in + (y * w.in_w + x) * width + c));
      }
      Store(out + place + c, Div(sum, count));
    }
  });
}

void AveragePoolBackward(const Window& w, int64_t packets, const float* out_diff, float* in_diff, int64_t in_row) {
  const int64_t width = packets * kPacketSize;
  for (int64_t y = 0; y < w.in_h; ++y) std::fill_n(in_diff + y * in_row, w.in_w * width, 0.0f);
  ForEachWindow(w, width, [&](const Clip& clip, int64_t place) {
    const Packet count = Broadcast(static_cast<float>(clip.count));
    for (int64_t c = 0; c < width; c += kPacketSize) {
      const Packet share = Div(Load(out_diff + place + c), count);
      for (int64_t y = clip.h_begin; y < clip.h_end; ++y) {
        for (int64_t x = clip.w_begin; x < clip.w_end; ++x) {
          float* to = in_diff + y * in_row + x * width + c;
          Store(to, Add(Load(to), share));
        }
      }
    }
  });
}

}  // namespace samovar
