// A blob seen as [outer, channels, inner], and loops over it whose sums have an order that depends on the shape alone.
//
// A piece of a loop is a range of channels, and handles each whole: no partial sums to add.
#pragma once

#include <algorithm>
#include <cstdint>

#include "worker/nn/kernels/sums.h"
#include "worker/nn/shape.h"

namespace samovar {

struct Channels {
  int64_t outer;
  int64_t channels;
  int64_t inner;

  // The axes [axis, axis + axes) together are the channels. REQUIRES: 0 <= axis, axis + axes <= axes of the shape
  static Channels Of(const Shape& shape, int axis, int axes) {
    return {Elements(shape, 0, axis), Elements(shape, axis, axis + axes),
            Elements(shape, axis + axes, static_cast<int>(shape.size()))};
  }

  // Values of one channel.
  int64_t values() const { return outer * inner; }
  // Channels that a piece handles, at most kMaxPerPiece: some ten thousand values, and whole cache lines where the
  // channels lie side by side.
  static constexpr int64_t kMaxPerPiece = 256;
  int64_t per_piece() const { return std::clamp<int64_t>((32 << 10) / values(), inner == 1 ? 16 : 1, kMaxPerPiece); }
};

// sums[c - begin] = sum of value(i, c) over the places i of each channel c of [begin, end).
template <typename Value>
void SumChannels(const Channels& view, int64_t begin, int64_t end, double* sums, Value value) {
  std::fill(sums, sums + (end - begin), 0.0);
  if (view.inner == 1) {
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t c = begin; c < end; ++c) sums[c - begin] += value(o * view.channels + c, c);
    }
    return;
  }
  for (int64_t c = begin; c < end; ++c) {
    for (int64_t o = 0; o < view.outer; ++o) {
      const int64_t first = (o * view.channels + c) * view.inner;
      sums[c - begin] += SumOf<double>(view.inner, [value, c, first](int64_t i) { return value(first + i, c); });
    }
  }
}

// Both sums with one pass over memory; each is what SumChannels makes of it.
template <typename First, typename Second>
void SumChannelsTwice(const Channels& view, int64_t begin, int64_t end, double* firsts, First first, double* seconds,
                      Second second) {
  if (view.inner == 1) {
    SumChannels(view, begin, end, firsts, first);
    return SumChannels(view, begin, end, seconds, second);
  }
  std::fill(firsts, firsts + (end - begin), 0.0);
  std::fill(seconds, seconds + (end - begin), 0.0);
  for (int64_t c = begin; c < end; ++c) {
    for (int64_t o = 0; o < view.outer; ++o) {
      const int64_t at = (o * view.channels + c) * view.inner;
      firsts[c - begin] += SumOf<double>(view.inner, [first, c, at](int64_t i) { return first(at + i, c); });
      seconds[c - begin] += SumOf<double>(view.inner, [second, c, at](int64_t i) { return second(at + i, c); });
    }
  }
}

// body(i, of(c)) for each place i of each channel c of [begin, end): `of` gives the body the values that it needs of
// the channel. Bodies for different places must not depend on each other.
template <typename Of, typename Body>
void ForEachInChannels(const Channels& view, int64_t begin, int64_t end, Of of, Body body) {
  if (view.inner == 1) {
    for (int64_t o = 0; o < view.outer; ++o) {
#pragma GCC ivdep
      for (int64_t c = begin; c < end; ++c) body(o * view.channels + c, of(c));
    }
    return;
  }
  for (int64_t c = begin; c < end; ++c) {
    const auto channel = of(c);
    for (int64_t o = 0; o < view.outer; ++o) {
      const int64_t first = (o * view.channels + c) * view.inner;
#pragma GCC ivdep
      for (int64_t i = first; i < first + view.inner; ++i) body(i, channel);
    }
  }
}

}  // namespace samovar
