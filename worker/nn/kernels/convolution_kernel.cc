#include "worker/nn/kernels/convolution_kernel.h"

#include <algorithm>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/tile_kernel.h"

namespace samovar {
namespace {

// The i of [0, count) with 0 <= first + i * step < size.
struct Range {
  int64_t begin;
  int64_t end;
};

Range Inside(int64_t first, int64_t step, int64_t size, int64_t count) {
  const int64_t begin = first >= 0 ? 0 : (-first + step - 1) / step;
  const int64_t end = first >= size ? 0 : (size - first + step - 1) / step;
  const int64_t clipped = std::min(begin, count);
  return {clipped, std::clamp(end, clipped, count)};
}

// Where channel c, kernel place (kh, kw) is: a run and a place in it.
struct Tap {
  int64_t run;
  int64_t place;
};

Tap TapOf(const ConvolutionPlan& plan, int64_t c, int64_t kh, int64_t kw) {
  if (plan.runs_per_row == 1) return {kh, kw * plan.window.channels + c};
  return {kh * plan.runs_per_row + kw, c};
}

// body(index in the weights of one output, run, place) for all taps.
template <typename Body>
void ForEachTap(const ConvolutionPlan& plan, Body body) {
  const Window& w = plan.window;
  int64_t index = 0;
  for (int64_t c = 0; c < w.channels; ++c) {
    for (int64_t kh = 0; kh < w.kernel_h; ++kh) {
      for (int64_t kw = 0; kw < w.kernel_w; ++kw, ++index) {
        const Tap tap = TapOf(plan, c, kh, kw);
        body(index, tap.run, tap.place);
      }
    }
  }
}

}  // namespace

ConvolutionPlan::ConvolutionPlan(const Window& w, int64_t outputs)
    : window(w),
      outputs(outputs),
      packets(PacketsFor(outputs)),
      width(packets * kPacketSize),
      frame{w.channels, w.in_h, w.in_w, w.pad_h, w.pad_w},
      runs_per_row(w.dilation_w == 1 ? 1 : w.kernel_w),
      runs(w.kernel_h * runs_per_row),
      run_length(w.dilation_w == 1 ? w.kernel_w * w.channels : w.channels) {
  for (int64_t run = 0; run < runs; ++run) {
    run_offsets.push_back(run / runs_per_row * w.dilation_h * frame.row() +
                          run % runs_per_row * w.dilation_w * w.channels);
    packed_runs.push_back(run * row_length());
  }
  row_blocks = CutRow(runs, run_length, /*halves=*/false);
  image_blocks = CutRow(runs, run_length, /*halves=*/w.channels % kPacketSize != 0);
  for (int64_t oh = 0; oh < w.out_h; ++oh) row_offsets.push_back(oh * w.stride_h * frame.row());
}

bool ConvolutionPlan::CanFlip() const {
  return window.stride_h == 1 && window.stride_w == 1 && window.pad_h <= window.dilation_h * (window.kernel_h - 1) &&
         window.pad_w <= window.dilation_w * (window.kernel_w - 1);
}

ConvolutionPlan ConvolutionPlan::Flipped() const {
  Window flipped = window;
  flipped.channels = width;
  std::swap(flipped.in_h, flipped.out_h);
  std::swap(flipped.in_w, flipped.out_w);
  flipped.pad_h = window.dilation_h * (window.kernel_h - 1) - window.pad_h;
  flipped.pad_w = window.dilation_w * (window.kernel_w - 1) - window.pad_w;
  return ConvolutionPlan(flipped, window.channels);
}

void PackWeights(const ConvolutionPlan& plan, const float* weights, float* packed) {
  const int64_t taps = plan.runs * plan.run_length;
  std::fill_n(packed, plan.dense_length(), 0.0f);
  ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
    const int64_t begin = block.begin;
    for (int64_t o = begin; o < std::min(begin + block.width(), plan.outputs); ++o) {
      const float* from = weights + o * taps;
      float* to = packed + begin * taps + o - begin;
      ForEachTap(plan, [&](int64_t index, int64_t run, int64_t place) {
        to[(run * plan.run_length + place) * block.width()] = from[index];
      });
    }
  });
}

void PackFlippedWeights(const ConvolutionPlan& plan, const ConvolutionPlan& flipped, const float* weights,
                        float* packed) {
  const int64_t taps = flipped.runs * flipped.run_length;
  const int64_t area = plan.window.taps();
  std::fill_n(packed, flipped.dense_length(), 0.0f);
  ForEachTileBlock(flipped.outputs, [&](const TileBlock& block) {
    const int64_t begin = block.begin;
    for (int64_t c = begin; c < std::min(begin + block.width(), flipped.outputs); ++c) {
      float* to = packed + begin * taps + c - begin;
      for (int64_t o = 0; o < plan.outputs; ++o) {
        const float* from = weights + (o * plan.window.channels + c) * area;
        for (int64_t kh = 0; kh < plan.window.kernel_h; ++kh) {
          for (int64_t kw = 0; kw < plan.window.kernel_w; ++kw) {
            const Tap tap = TapOf(flipped, o, kh, kw);
            to[(tap.run * flipped.run_length + tap.place) * block.width()] =
                from[area - 1 - (kh * plan.window.kernel_w + kw)];
          }
        }
      }
    }
  });
}

void PackWeightRows(const ConvolutionPlan& plan, const float* weights, float* rows) {
  const int64_t taps = plan.runs * plan.run_length;
  std::fill_n(rows, plan.outputs * plan.rows_length(), 0.0f);
  for (int64_t o = 0; o < plan.outputs; ++o) {
    const float* from = weights + o * taps;
    float* to = rows + o * plan.rows_length();
    ForEachTap(plan,
               [&](int64_t index, int64_t run, int64_t place) { to[run * plan.row_length() + place] = from[index]; });
  }
}

void ForwardImage(const ConvolutionPlan& plan, const float* image, const float* packed, const float* bias, float* out) {
  const Window& w = plan.window;
  ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
    TileProduct product;
    product.a_step = 1;
    product.a_tile = plan.step();
    product.b_step = block.width();
    product.b_row = plan.run_length * product.b_step;
    product.depth = plan.run_length;
    product.c_tile = plan.width;
    product.bias = bias == nullptr ? nullptr : bias + block.begin;
    for (int64_t oh = 0; oh < w.out_h; ++oh) {
      // Rows of the kernel that see nothing but padding are left out.
      const Range kernel = Inside(oh * w.stride_h - w.pad_h, w.dilation_h, w.in_h, w.kernel_h);
      const int64_t run = kernel.begin * plan.runs_per_row;
      product.a = image + plan.offset(oh, 0);
      product.a_rows = plan.run_offsets.data() + run;
      product.b = packed + block.begin * plan.runs * plan.run_length + run * product.b_row;
      product.rows = (kernel.end - kernel.begin) * plan.runs_per_row;
      product.c = out + oh * w.out_w * plan.width + block.begin;
      RunTiles(product, w.out_w, block);
    }
  });
}

namespace {

constexpr int64_t kFirstRow = 0;

}  // namespace

void ForwardPlaces(const ConvolutionPlan& plan, int64_t places, const float* images, const float* packed,
                   const float* bias, float* out) {
  TileProduct product;
  product.a = images;
  product.a_rows = &kFirstRow;
  product.a_tile = plan.window.channels;
  product.rows = 1;
  product.depth = plan.run_length;
  product.c_tile = plan.width;
  ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
    product.b_step = block.width();
    product.b = packed + block.begin * plan.run_length;
    product.bias = bias == nullptr ? nullptr : bias + block.begin;
    product.c = out + block.begin;
    RunTiles(product, places, block);
  });
}

void AddWeightGradient(const ConvolutionPlan& plan, const float* image, const float* diff, int64_t diff_row,
                       float* gradient) {
  const Window& w = plan.window;
  ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
    TileProduct product;
    product.a_step = plan.step();
    product.a_tile = 1;
    product.b_step = plan.width;
    product.b_row = diff_row;
    product.depth = w.out_w;
    product.c_tile = plan.width;
    product.add = true;
    for (int64_t run = 0; run < plan.runs; ++run) {
      const Range rows = Inside(run / plan.runs_per_row * w.dilation_h - w.pad_h, w.stride_h, w.in_h, w.out_h);
      product.a = image + plan.run_offsets[static_cast<size_t>(run)];
      product.a_rows = plan.row_offsets.data() + rows.begin;
      product.b = diff + rows.begin * diff_row + block.begin;
      product.rows = rows.end - rows.begin;
      product.c = gradient + run * plan.run_length * plan.width + block.begin;
      RunTiles(product, plan.run_length, block);
    }
  });
}

void AddWeightGradientOfPlanes(const Window& window, int64_t outputs, const float* planes, const float* diff,
                               float* gradient) {
  const int64_t width = RoundUpToPackets(outputs);
  TileProduct product;
  product.a = planes;
  product.a_rows = &kFirstRow;
  product.a_tile = window.out_plane();
  product.b_step = width;
  product.rows = 1;
  product.depth = window.out_plane();
  product.c_tile = width;
  product.add = true;
  ForEachTileBlock(outputs, [&](const TileBlock& block) {
    product.b = diff + block.begin;
    product.c = gradient + block.begin;
    RunTiles(product, window.channels, block);
  });
}

void AddWeightGradientOfPlaces(const ConvolutionPlan& plan, int64_t places, const float* images, const float* diff,
                               float* gradient) {
  TileProduct product;
  product.a = images;
  product.a_rows = &kFirstRow;
  product.a_step = plan.window.channels;
  product.b_step = plan.width;
  product.rows = 1;
  product.depth = places;
  product.c_tile = plan.width;
  product.add = true;
  ForEachTileBlock(plan.outputs, [&](const TileBlock& block) {
    product.b = diff + block.begin;
    product.c = gradient + block.begin;
    RunTiles(product, plan.window.channels, block);
  });
}

void UnpackDenseGradient(const ConvolutionPlan& plan, const float* gradient, float* weights) {
  const int64_t taps = plan.runs * plan.run_length;
  for (int64_t o = 0; o < plan.outputs; ++o) {
    ForEachTap(plan, [&](int64_t index, int64_t run, int64_t place) {
      weights[o * taps + index] = gradient[(run * plan.run_length + place) * plan.width + o];
    });
  }
}

void UnpackRowsGradient(const ConvolutionPlan& plan, const float* gradient, float* weights) {
  const int64_t taps = plan.runs * plan.run_length;
  for (int64_t o = 0; o < plan.outputs; ++o) {
    const float* from = gradient + o * plan.rows_length();
    ForEachTap(plan, [&](int64_t index, int64_t run, int64_t place) {
      weights[o * taps + index] = from[run * plan.row_length() + place];
    });
  }
}

}  // namespace samovar
