#include "worker/nn/pooling_kernel.h"

#include <algorithm>
#include <cfloat>

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
  return {std::max<int64_t>(h_begin, 0), std::min(h_end, w.in_h), std::max<int64_t>(w_begin, 0), std::min(w_end, w.in_w),
          (h_end - h_begin) * (w_end - w_begin)};
}

bool IsTwoByTwo(const Window& w) {
  return w.kernel_h == 2 && w.kernel_w == 2 && w.stride_h == 2 && w.stride_w == 2 && w.pad_h == 0 && w.pad_w == 0 &&
         w.in_h == 2 * w.out_h && w.in_w == 2 * w.out_w;
}

// The common case without clipping or branches, in a form that compilers turn into vector code.
void TwoByTwoForward(const Window& w, const float* __restrict in, float* __restrict out, int32_t* __restrict at) {
  for (int64_t oh = 0; oh < w.out_h; ++oh, out += w.out_w, at += w.out_w) {
    const float* upper = in + 2 * oh * w.in_w;
    const float* lower = upper + w.in_w;
    const int32_t first = static_cast<int32_t>(2 * oh * w.in_w);
    const int32_t width = static_cast<int32_t>(w.in_w);
    for (int32_t ow = 0; ow < static_cast<int32_t>(w.out_w); ++ow) {
      const float candidates[4] = {upper[2 * ow], upper[2 * ow + 1], lower[2 * ow], lower[2 * ow + 1]};
      const int32_t place = first + 2 * ow;
      float best = -FLT_MAX;
      int32_t best_at = -1;
      best_at = candidates[0] > best ? place : best_at;
      best = candidates[0] > best ? candidates[0] : best;
      best_at = candidates[1] > best ? place + 1 : best_at;
      best = candidates[1] > best ? candidates[1] : best;
      best_at = candidates[2] > best ? place + width : best_at;
      best = candidates[2] > best ? candidates[2] : best;
      best_at = candidates[3] > best ? place + width + 1 : best_at;
      best = candidates[3] > best ? candidates[3] : best;
      out[ow] = best;
      at[ow] = best_at;
    }
  }
}

}  // namespace

void MaxPoolForward(const Window& w, const float* in, float* out, int32_t* at) {
  if (IsTwoByTwo(w)) return TwoByTwoForward(w, in, out, at);
  for (int64_t oh = 0; oh < w.out_h; ++oh) {
    for (int64_t ow = 0; ow < w.out_w; ++ow, ++out, ++at) {
      const Clip clip = ClipWindow(w, oh, ow);
      *out = -FLT_MAX;
      *at = -1;
      for (int64_t y = clip.h_begin; y < clip.h_end; ++y) {
        for (int64_t x = clip.w_begin; x < clip.w_end; ++x) {
          if (in[y * w.in_w + x] > *out) {
            *out = in[y * w.in_w + x];
            *at = static_cast<int32_t>(y * w.in_w + x);
          }
        }
      }
    }
  }
}

void MaxPoolBackward(const Window& w, const float* out_diff, const int32_t* at, float* in_diff) {
  std::fill(in_diff, in_diff + w.in_plane(), 0.0f);
  for (int64_t i = 0; i < w.out_plane(); ++i) {
    if (at[i] >= 0) in_diff[at[i]] += out_diff[i];
  }
}

void AveragePoolForward(const Window& w, const float* in, float* out) {
  for (int64_t oh = 0; oh < w.out_h; ++oh) {
    for (int64_t ow = 0; ow < w.out_w; ++ow, ++out) {
      const Clip clip = ClipWindow(w, oh, ow);
      float sum = 0;
      for (int64_t y = clip.h_begin; y < clip.h_end; ++y) {
        for (int64_t x = clip.w_begin; x < clip.w_end; ++x) sum += in[y * w.in_w + x];
      }
      *out = sum / static_cast<float>(clip.count);
    }
  }
}

void AveragePoolBackward(const Window& w, const float* out_diff, float* in_diff) {
  std::fill(in_diff, in_diff + w.in_plane(), 0.0f);
  for (int64_t oh = 0; oh < w.out_h; ++oh) {
    for (int64_t ow = 0; ow < w.out_w; ++ow, ++out_diff) {
      const Clip clip = ClipWindow(w, oh, ow);
      const float share = *out_diff / static_cast<float>(clip.count);
      for (int64_t y = clip.h_begin; y < clip.h_end; ++y) {
        for (int64_t x = clip.w_begin; x < clip.w_end; ++x) in_diff[y * w.in_w + x] += share;
      }
    }
  }
}

}  // namespace samovar
