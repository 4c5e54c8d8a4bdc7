// Pooling of images with their channels last (channels_last.h): each place has `packets` packets of channels, all
// handled alike. Geometry as in pooling_layer.cc.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/window.h"

namespace samovar {

// ReLU of the pool's input, or of the result.
enum class PoolRelu { kNone, kBelow, kAbove };

// out is the first maximum of its window clipped to the image, and at its place y * in_w + x in the plane, an int32's
// bits in a float; where nothing in the window is above -FLT_MAX they are -FLT_MAX and -1. With a ReLU (y = x > 0 ? x :
// 0 * x) a maximum that is not positive has no place either, since it has no gradient. at may be null.
void MaxPoolForward(const Window& window, int64_t packets, PoolRelu relu, const float* in, float* out, float* at);

// in_diff, one plane, is written: zero but for the maxima, which get the sum of the out_diff of the windows they won.
void MaxPoolBackward(const Window& window, const float* out_diff, const float* at, float* in_diff);

// The mean over the window clipped to the padded image: padding counts as zeros, places beyond do not count.
void AveragePoolForward(const Window& window, int64_t packets, const float* in, float* out);
// Writes in_diff; its rows are `in_row` floats apart.
void AveragePoolBackward(const Window& window, int64_t packets, const float* out_diff, float* in_diff, int64_t in_row);

}  // namespace samovar
