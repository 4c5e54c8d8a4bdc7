// Windows of an image as columns of a matrix, so that convolution is a matrix product (Chellapilla et al., "High
// performance convolutional neural networks for document processing", 2006).
#pragma once

#include <cstdint>

#include "worker/nn/kernels/window.h"

namespace samovar {

// columns[(c * kernel_h + kh) * kernel_w + kw][oh * out_w + ow] = image[c, y, x] with y = oh * stride_h - pad_h + kh *
// dilation_h and x likewise; 0 outside of the image. Rows are `stride` floats apart. image is [channels, in_h, in_w].
void Im2col(const Window& window, const float* image, float* columns, int64_t stride);

// The transpose: adds each value of columns to its place in the image.
void Col2im(const Window& window, const float* columns, int64_t stride, float* image);

}  // namespace samovar
