// Images with their channels last. Blobs are [channels, height, width]; with [height, width, channels] the values that
// one output of a window needs lie side by side, and all channels of a place are handled by the same instructions.
#pragma once

#include <cstdint>

namespace samovar {

// out[j * out_stride + i] = in[i * in_stride + j] for i < rows, j < columns. Moves bits, NaN's too.
void Transpose(const float* in, int64_t rows, int64_t columns, int64_t in_stride, float* out, int64_t out_stride);

// An image with its channels last, `channels` floats apart, in a frame of padding.
struct Frame {
  int64_t channels = 0;
  int64_t height = 0, width = 0;
  int64_t pad_h = 0, pad_w = 0;

  int64_t row() const { return (width + 2 * pad_w) * channels; }
  int64_t elements() const { return (height + 2 * pad_h) * row(); }
  // The place of the image's first value.
  bool has_padding() const { return pad_h > 0 || pad_w > 0; }
  int64_t origin() const { return pad_h * row() + pad_w * channels; }
};

// Between `count` planes [count, height, width] and the first `count` channels of a frame, whose padding is left alone.
void ToChannelsLast(const float* planes, int64_t count, const Frame& frame, float* out);
void FromChannelsLast(const float* in, const Frame& frame, int64_t count, float* planes);

// sums[c] += values of channel c over all places. REQUIRES: whole packets of channels
void AddOverPlaces(const Frame& frame, const float* image, float* sums);

}  // namespace samovar
