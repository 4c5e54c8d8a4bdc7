// Resizing of images by bilinear interpolation, the way OpenCV's INTER_LINEAR does it with bytes.
#pragma once

#include "common/data/image.h"

namespace samovar {

// Output pixel x lies at (x + 0.5) * width_in / width_out - 0.5 of the input, and outside of it counts as the edge's
// pixel; no smoothing before shrinking. Weights are in units of 2^-11. Exact halves of both sides are means of four.
// `in` and `out` are different objects. REQUIRES: height, width >= 1 and the output at most kMaxRecordElements.
void ResizeImage(const Image& in, int height, int width, Image* out);

}  // namespace samovar
