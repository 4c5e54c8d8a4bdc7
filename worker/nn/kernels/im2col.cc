#include "worker/nn/kernels/im2col.h"

#include <algorithm>

#include "worker/nn/kernels/copy_row.h"

namespace samovar {
namespace {

inline void ZeroRow(float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = 0;
}

// The part [begin, end) of an output row whose taps lie in the image; x0 is the input of output 0.
struct Inside {
  int64_t begin;
  int64_t end;
};

Inside InsideOf(int64_t x0, int64_t stride, int64_t in, int64_t out) {
  const int64_t begin = x0 >= 0 ? 0 : (-x0 + stride - 1) / stride;
  const int64_t end = x0 >= in ? 0 : (in - x0 + stride - 1) / stride;
  return {std::min(begin, out), std::clamp<int64_t>(end, std::min(begin, out), out)};
}

// body(image row or null, offset of the row in the columns, x0, inside) for each row of out_w values.
template <typename Body>
inline void ForEachRow(const Window& w, int64_t stride, Body body) {
  int64_t row = 0;
  for (int64_t c = 0; c < w.channels; ++c) {
    for (int64_t kh = 0; kh < w.kernel_h; ++kh) {
      for (int64_t kw = 0; kw < w.kernel_w; ++kw, ++row) {
        const int64_t x0 = kw * w.dilation_w - w.pad_w;
        const Inside inside = InsideOf(x0, w.stride_w, w.in_w, w.out_w);
        for (int64_t oh = 0; oh < w.out_h; ++oh) {
          const int64_t y = oh * w.stride_h - w.pad_h + kh * w.dilation_h;
          const int64_t image_row = y < 0 || y >= w.in_h ? -1 : (c * w.in_h + y) * w.in_w;
          body(image_row, row * stride + oh * w.out_w, x0, inside);
        }
      }
    }
  }
}

}  // namespace

void Im2col(const Window& w, const float* image, float* columns, int64_t stride) {
  ForEachRow(w, stride, [&](int64_t image_row, int64_t offset, int64_t x0, Inside inside) {
    float* to = columns + offset;
    if (image_row < 0) return ZeroRow(to, w.out_w);
    const float* from = image + image_row;
    ZeroRow(to, inside.begin);
    if (w.stride_w == 1) {
      CopyRow(from + x0 + inside.begin, to + inside.begin, inside.end - inside.begin);
    } else {
      for (int64_t ow = inside.begin; ow < inside.end; ++ow) to[ow] = from[x0 + ow * w.stride_w];
    }
    ZeroRow(to + inside.end, w.out_w - inside.end);
  });
}

void Col2im(const Window& w, const float* columns, int64_t stride, float* image) {
  ForEachRow(w, stride, [&](int64_t image_row, int64_t offset, int64_t x0, Inside inside) {
    if (image_row < 0) return;
    const float* __restrict from = columns + offset;
    float* __restrict to = image + image_row;
    if (w.stride_w == 1) {
      for (int64_t ow = inside.begin; ow < inside.end; ++ow) to[x0 + ow] += from[ow];
    } else {
      for (int64_t ow = inside.begin; ow < inside.end; ++ow) to[x0 + ow * w.stride_w] += from[ow];
    }
  });
}

}  // namespace samovar
