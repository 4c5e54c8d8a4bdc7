#include "worker/nn/kernels/strided_planes.h"

#include <algorithm>

namespace samovar {

bool SkipsPlaces(const Window& w) {
  return w.taps() == 1 && w.pad_h == 0 && w.pad_w == 0 && (w.stride_h > 1 || w.stride_w > 1);
}

Window WithoutSkips(const Window& window) {
  Window plain = window;
  plain.in_h = window.out_h;
  plain.in_w = window.out_w;
  plain.stride_h = plain.stride_w = 1;
  return plain;
}

void PickPlaces(const Window& w, int64_t channels, const float* planes, float* picked) {
  for (int64_t c = 0; c < channels; ++c, planes += w.in_plane()) {
    for (int64_t oh = 0; oh < w.out_h; ++oh, picked += w.out_w) {
      const float* from = planes + oh * w.stride_h * w.in_w;
      for (int64_t ow = 0; ow < w.out_w; ++ow) picked[ow] = from[ow * w.stride_w];
    }
  }
}

void SpreadPlaces(const Window& w, int64_t channels, const float* picked, float* planes) {
  std::fill_n(planes, channels * w.in_plane(), 0.0f);
  for (int64_t c = 0; c < channels; ++c, planes += w.in_plane()) {
    for (int64_t oh = 0; oh < w.out_h; ++oh, picked += w.out_w) {
      float* to = planes + oh * w.stride_h * w.in_w;
      for (int64_t ow = 0; ow < w.out_w; ++ow) to[ow * w.stride_w] = picked[ow];
    }
  }
}

}  // namespace samovar
