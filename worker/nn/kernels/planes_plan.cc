#include "worker/nn/kernels/planes_plan.h"

#include <algorithm>

#include "worker/nn/kernels/copy_row.h"
#include "worker/nn/kernels/packet.h"

namespace samovar {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The number of the phase that begins at (y, x); a new one at the end if there is none.
size_t PhaseAt(std::vector<PlanesPlan::Phase>* phases, int64_t y, int64_t x) {
  const auto found =
      std::find_if(phases->begin(), phases->end(), [&](const auto& phase) { return phase.y == y && phase.x == x; });
  if (found != phases->end()) return static_cast<size_t>(found - phases->begin());
  phases->push_back({y, x, {}, {}});
  return phases->size() - 1;
}

// body(values of the row in the image, and in the frame; how many) for each row of the phases that has any.
template <typename Body>
void ForEachRow(const PlanesPlan& plan, Body body) {
  const Window& w = plan.window;
  int64_t to = 0;
  for (const PlanesPlan::Phase& phase : plan.phases) {
    const int64_t first_row = DivideUp(std::max<int64_t>(0, w.pad_h - phase.y), w.stride_h);
    const int64_t end_row = std::min(plan.rows, DivideUp(w.in_h + w.pad_h - phase.y, w.stride_h));
    const int64_t begin = DivideUp(std::max<int64_t>(0, w.pad_w - phase.x), w.stride_w);
    const int64_t end = std::min(plan.pitch, DivideUp(w.in_w + w.pad_w - phase.x, w.stride_w));
    const int64_t x = begin * w.stride_w + phase.x - w.pad_w;
    for (int64_t c = 0; c < w.channels; ++c, to += plan.plane) {
      if (begin >= end) continue;
      for (int64_t row = first_row; row < end_row; ++row) {
        const int64_t y = row * w.stride_h + phase.y - w.pad_h;
        body((c * w.in_h + y) * w.in_w + x, to + row * plan.pitch + begin, end - begin);
      }
    }
  }
}

}  // namespace

PlanesPlan::PlanesPlan(const Window& w, int64_t outputs) : window(w), outputs(outputs) {
  pitch = w.out_w + w.dilation_w * (w.kernel_w - 1) / w.stride_w;
  rows = w.out_h + w.dilation_h * (w.kernel_h - 1) / w.stride_h;
  most_shift = (rows - w.out_h) * pitch + pitch - w.out_w;
  plane = flat() ? w.out_plane() : RoundUpToPackets(rows * pitch);
  out_plane = flat() ? w.out_plane() : RoundUpToPackets(w.out_h * pitch);
  diff_plane = RoundUpToPackets(most_shift) + plane;
  for (int64_t kh = 0; kh < w.kernel_h; ++kh) {
    for (int64_t kw = 0; kw < w.kernel_w; ++kw) {
      const int64_t y = kh * w.dilation_h;
      const int64_t x = kw * w.dilation_w;
      const int64_t shift = y / w.stride_h * pitch + x / w.stride_w;
      const size_t phase = PhaseAt(&phases, y % w.stride_h, x % w.stride_w);
      for (int64_t c = 0; c < w.channels; ++c) {
        offsets.push_back((static_cast<int64_t>(phase) * w.channels + c) * plane + shift);
        weights.push_back(c * w.taps() + kh * w.kernel_w + kw);
      }
      for (int64_t o = 0; o < outputs; ++o) {
        phases[phase].offsets.push_back(o * diff_plane - shift);
        phases[phase].weights.push_back(o * terms() + kh * w.kernel_w + kw);
      }
    }
  }
}

bool PlanesPlan::in_place() const {
  return flat() && window.stride_h == 1 && window.stride_w == 1 && window.pad_h == 0 && window.pad_w == 0;
}

// A row and a packet more: what is left out may be computed from what lies behind.
int64_t PlanesPlan::frame_elements() const {
  return static_cast<int64_t>(phases.size()) * window.channels * plane + pitch + kPacketSize;
}
int64_t PlanesPlan::diff_elements() const { return outputs * diff_plane + most_shift + pitch + kPacketSize; }

void FillFrame(const PlanesPlan& plan, const float* image, float* frame) {
  const int64_t step = plan.window.stride_w;
  ForEachRow(plan, [&](int64_t from, int64_t to, int64_t n) {
    if (step == 1) return CopyRow(image + from, frame + to, n);
    if (step == 2) {
      for (int64_t i = 0; i < n; ++i) frame[to + i] = image[from + 2 * i];
      return;
    }
    for (int64_t i = 0; i < n; ++i) frame[to + i] = image[from + i * step];
  });
}

namespace {

// to: n values, those of `even` and of `odd` in turns.
void Interleave(const float* __restrict even, const float* __restrict odd, int64_t n, float* __restrict to) {
  for (int64_t i = 0; i < n / 2; ++i) {
    to[2 * i] = even[i];
    to[2 * i + 1] = odd[i];
  }
  if (n % 2 != 0) to[n - 1] = even[n / 2];
}

// EmptyFrame, of phases that cover the image, with a stride of 2 along the width.
void EmptyPairs(const PlanesPlan& plan, const float* frame, float* image) {
  const Window& w = plan.window;
  const auto phase_of = [&](int64_t y, int64_t x) {
    const auto is = [&](const auto& phase) { return phase.y == y && phase.x == x; };
    const auto at = std::find_if(plan.phases.begin(), plan.phases.end(), is) - plan.phases.begin();
    return frame + static_cast<int64_t>(at) * w.channels * plan.plane;
  };
  for (int64_t y = 0; y < w.in_h; ++y) {
    const int64_t padded = y + w.pad_h, row = padded / w.stride_h * plan.pitch;
    const float* even = phase_of(padded % w.stride_h, w.pad_w % 2) + row + w.pad_w / 2;
    const float* odd = phase_of(padded % w.stride_h, (w.pad_w + 1) % 2) + row + (w.pad_w + 1) / 2;
    for (int64_t c = 0; c < w.channels; ++c)
      Interleave(even + c * plan.plane, odd + c * plan.plane, w.in_w, image + (c * w.in_h + y) * w.in_w);
  }
}

}  // namespace

void EmptyFrame(const PlanesPlan& plan, const float* frame, float* image) {
  const Window& w = plan.window;
  const bool covers = static_cast<int64_t>(plan.phases.size()) == w.stride_h * w.stride_w &&
                      plan.rows * w.stride_h >= w.in_h + w.pad_h && plan.pitch * w.stride_w >= w.in_w + w.pad_w;
  if (covers && w.stride_w == 2) return EmptyPairs(plan, frame, image);
  if (!covers) std::fill_n(image, w.channels * w.in_plane(), 0.0f);
  const int64_t step = w.stride_w;
  ForEachRow(plan, [&](int64_t to, int64_t from, int64_t n) {
    if (step == 1) return CopyRow(frame + from, image + to, n);
    for (int64_t i = 0; i < n; ++i) image[to + i * step] = frame[from + i];
  });
}

void EmptyOutput(const PlanesPlan& plan, const float* output, float* planes) {
  const Window& w = plan.window;
  for (int64_t o = 0; o < plan.outputs; ++o) {
    const float* from = output + o * plan.out_plane;
    for (int64_t oh = 0; oh < w.out_h; ++oh, from += plan.pitch, planes += w.out_w) CopyRow(from, planes, w.out_w);
  }
}

void FillDiff(const PlanesPlan& plan, const float* planes, float* diff) {
  const Window& w = plan.window;
  for (int64_t o = 0; o < plan.outputs; ++o) {
    float* to = diff + plan.diff_origin() + o * plan.diff_plane;
    for (int64_t oh = 0; oh < w.out_h; ++oh, to += plan.pitch, planes += w.out_w) CopyRow(planes, to, w.out_w);
  }
}

}  // namespace samovar
