#include "worker/nn/kernels/plane_pooling.h"

#include <algorithm>
#include <bit>
#include <cfloat>

#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet_math.h"

namespace samovar {
namespace {

// Larger windows, and planes that leave most of a vector empty, are better turned.
constexpr int64_t kMostTaps = 25, kLeastColumns = 6;

// Rows of the plane that a window covers.
struct Span {
  int64_t begin, end;
};

Span RowsOf(int64_t out_row, const Window& w) {
  const int64_t begin = out_row * w.stride_h - w.pad_h;
  return {std::max<int64_t>(begin, 0), std::min(begin + w.kernel_h, w.in_h)};
}

// Values that the window's mean is of along one axis: padding counts, what is beyond it does not.
float CountOf(int64_t out, int64_t stride, int64_t pad, int64_t kernel, int64_t in) {
  const int64_t begin = out * stride - pad;
  return static_cast<float>(std::min(begin + kernel, in + pad) - begin);
}

}  // namespace

bool PlanePooling::Suits(const Window& w) { return w.taps() <= kMostTaps && w.out_w >= kLeastColumns; }

absl::Status PlanePooling::Allocate(const Window& window, bool max) {
  window_ = window;
  out_width_ = RoundUpToPackets(window.out_w);
  // Whole packets of windows are read, from each tap on.
  const int64_t last = std::max(window.pad_w + window.in_w, out_width_ * window.stride_w + window.kernel_w);
  lane_ = RoundUpToPackets(last / window.stride_w + 1);
  width_ = lane_ * window.stride_w;
  for (int64_t tap = 0; tap < window.kernel_w; ++tap)
    taps_.push_back(tap % window.stride_w * lane_ + tap / window.stride_w);
  SAMOVAR_RETURN_IF_ERROR(frame_.Allocate(window.in_h * width_));
  SAMOVAR_RETURN_IF_ERROR(best_.Allocate(window.out_h * width_));
  for (Buffer<float>* buffer : {&tap_best_, &tap_column_})
    SAMOVAR_RETURN_IF_ERROR(buffer->Allocate(window.kernel_h * out_width_));
  for (Buffer<float>* buffer : {&out_best_, &out_counts_, &out_column_})
    SAMOVAR_RETURN_IF_ERROR(buffer->Allocate(out_width_));
  for (int64_t i = 0; i < out_width_; ++i)
    out_column_.data()[i] = std::bit_cast<float>(static_cast<int32_t>(i * window.stride_w - window.pad_w));
  SetMargins(max ? -FLT_MAX : 0);
  return absl::OkStatus();
}

void PlanePooling::SetMargins(float margin) {
  const int64_t stride = window_.stride_w;
  for (int64_t phase = 0; phase < stride; ++phase) {
    // The columns phase + i * stride of the padded plane that are in the plane.
    const int64_t begin = (std::max<int64_t>(0, window_.pad_w - phase) + stride - 1) / stride;
    const int64_t end = std::max(begin, (window_.pad_w + window_.in_w - phase + stride - 1) / stride);
    for (int64_t y = 0; y < window_.in_h; ++y) {
      float* const lane = frame_.data() + y * width_ + phase * lane_;
      std::fill(lane, lane + begin, margin);
      std::fill(lane + end, lane + lane_, margin);
    }
  }
}

void PlanePooling::FillFrame(const float* in) {
  const int64_t stride = window_.stride_w, pad = window_.pad_w, columns = window_.in_w;
  for (int64_t y = 0; y < window_.in_h; ++y) {
    const float* __restrict from = in + y * columns;
    float* const to = frame_.data() + y * width_;
    if (stride == 1) {
      std::copy_n(from, columns, to + pad);
    } else if (stride == 2) {
      float* __restrict even = to + pad % 2 * lane_ + pad / 2;
      float* __restrict odd = to + (pad + 1) % 2 * lane_ + (pad + 1) / 2;
      for (int64_t i = 0; i < columns / 2; ++i) {
        even[i] = from[2 * i];
        odd[i] = from[2 * i + 1];
      }
      if (columns % 2 == 1) even[columns / 2] = from[columns - 1];
    } else {
      for (int64_t x = 0; x < columns; ++x) to[(x + pad) % stride * lane_ + (x + pad) / stride] = from[x];
    }
  }
}

void PlanePooling::Prefetch(const float* next, int64_t out_row) const {
  constexpr int64_t kLine = 16;
  const int64_t begin = window_.in_plane() * out_row / window_.out_h;
  const int64_t end = window_.in_plane() * (out_row + 1) / window_.out_h;
  for (int64_t i = begin; i < end; i += kLine) __builtin_prefetch(next + i);
}

void PlanePooling::MaximumOfRows(const float* next) {
  for (int64_t out = 0; out < window_.out_h; ++out) {
    Prefetch(next, out);
    const Span rows = RowsOf(out, window_);
    for (int64_t x = 0; x < width_; x += kPacketSize) {
      Packet best = Broadcast(-FLT_MAX);
      for (int64_t y = rows.begin; y < rows.end; ++y) {
        const Packet value = Load(frame_.data() + y * width_ + x);
        best = Select(Less(best, value), value, best);
      }
      Store(best_.data() + out * width_ + x, best);
    }
  }
}

void PlanePooling::MaximumOfColumns(int64_t out_row) {
  const float* const values = best_.data() + out_row * width_;
  const int64_t* const taps = taps_.data();
  for (int64_t x = 0; x < out_width_; x += kPacketSize) {
    Packet best = Broadcast(-FLT_MAX);
    for (int64_t tap = 0; tap < window_.kernel_w; ++tap) {
      const Packet value = Load(values + taps[tap] + x);
      best = Select(Less(best, value), value, best);
    }
    Store(out_best_.data() + x, best);
  }
}

void PlanePooling::Maximum(const float* in, float* out, float* at) {
  FillFrame(in);
  const float* const next = in + window_.in_plane();
  if (at != nullptr) return MaximumWithPlaces(next, out, at);
  MaximumOfRows(next);
  for (int64_t y = 0; y < window_.out_h; ++y, out += window_.out_w) {
    MaximumOfColumns(y);
    std::copy_n(out_best_.data(), window_.out_w, out);
  }
}

namespace {

Packet BroadcastBits(int64_t bits) { return OfBits(BroadcastInt(static_cast<int32_t>(bits))); }
Packet AddBits(const Packet& a, const Packet& b) { return OfBits(Eigen::internal::padd(BitsOf(a), BitsOf(b))); }

// One packet of windows, along a row: the maxima of the taps and their columns. `kTaps`, or if that is 0 `count`.
template <int kTaps>
void MaximumOfTaps(const float* values, const int64_t* taps, int64_t count, const Packet& columns, float* best_at,
                   float* column_at) {
  Packet best = Broadcast(-FLT_MAX);
  Packet best_tap = BroadcastBits(0);
#pragma GCC unroll 3
  for (int64_t tap = 0; tap < (kTaps == 0 ? count : kTaps); ++tap) {
    const Packet value = Load(values + taps[tap]);
    const Mask better = Less(best, value);
    best = Select(better, value, best);
    best_tap = Select(better, BroadcastBits(tap), best_tap);
  }
  Store(best_at, best);
  Store(column_at, AddBits(best_tap, columns));
}

}  // namespace

void PlanePooling::MaximumOfRowWithColumns(int64_t row) {
  const float* const values = frame_.data() + row * width_;
  const int64_t kept = row % window_.kernel_h * out_width_;
  const int64_t* const taps = taps_.data();
  for (int64_t x = 0; x < out_width_; x += kPacketSize) {
    float* const best = tap_best_.data() + kept + x;
    float* const column = tap_column_.data() + kept + x;
    const Packet columns = Load(out_column_.data() + x);
    switch (window_.kernel_w) {
      case 2:
        MaximumOfTaps<2>(values + x, taps, 2, columns, best, column);
        break;
      case 3:
        MaximumOfTaps<3>(values + x, taps, 3, columns, best, column);
        break;
      default:
        MaximumOfTaps<0>(values + x, taps, window_.kernel_w, columns, best, column);
    }
  }
}

// First along the rows and then over them, so that the first of equal values counts, in the order of rows. Each row's
// maxima are made once and kept as long as a window sees the row.
void PlanePooling::MaximumWithPlaces(const float* next, float* out, float* at) {
  int64_t made = 0;
  for (int64_t out_row = 0; out_row < window_.out_h; ++out_row, out += window_.out_w, at += window_.out_w) {
    Prefetch(next, out_row);
    const Span rows = RowsOf(out_row, window_);
    for (made = std::max(made, rows.begin); made < rows.end; ++made) MaximumOfRowWithColumns(made);
    for (int64_t x = 0; x < window_.out_w; x += kPacketSize) {
      Packet best = Broadcast(-FLT_MAX);
      Packet place = BroadcastBits(-1);
      for (int64_t row = rows.begin; row < rows.end; ++row) {
        const int64_t kept = row % window_.kernel_h * out_width_ + x;
        const Packet value = Load(tap_best_.data() + kept);
        const Mask better = Less(best, value);
        best = Select(better, value, best);
        place = Select(better, AddBits(Load(tap_column_.data() + kept), BroadcastBits(row * window_.in_w)), place);
      }
      if (x + kPacketSize <= window_.out_w) {
        Store(out + x, best);
        Store(at + x, place);
        continue;
      }
      const LaneMask some = FirstLanes(window_.out_w - x);
      StoreLanes(some, out + x, best);
      StoreLanes(some, at + x, place);
    }
  }
}

// A window's values are added row by row, from the left to the right.
void PlanePooling::Average(const float* in, float* out) {
  FillFrame(in);
  const int64_t* const taps = taps_.data();
  float* const counts = out_counts_.data();
  for (int64_t i = 0; i < out_width_; ++i)
    counts[i] = CountOf(i, window_.stride_w, window_.pad_w, window_.kernel_w, window_.in_w);
  for (int64_t y = 0; y < window_.out_h; ++y, out += window_.out_w) {
    const Span rows = RowsOf(y, window_);
    Prefetch(in + window_.in_plane(), y);
    const Packet count = Broadcast(CountOf(y, window_.stride_h, window_.pad_h, window_.kernel_h, window_.in_h));
    for (int64_t x = 0; x < out_width_; x += kPacketSize) {
      Packet sum = Broadcast(0);
      for (int64_t row = rows.begin; row < rows.end; ++row) {
        const float* const values = frame_.data() + row * width_ + x;
        for (int64_t tap = 0; tap < window_.kernel_w; ++tap) sum = Add(sum, Load(values + taps[tap]));
      }
      Store(out_best_.data() + x, Div(sum, Mul(count, Load(counts + x))));
    }
    std::copy_n(out_best_.data(), window_.out_w, out);
  }
}

}  // namespace samovar
