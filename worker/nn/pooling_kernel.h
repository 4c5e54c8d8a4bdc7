// Pooling of one plane. All take the geometry of pooling_layer.cc; pointers are to one plane.
#pragma once

#include <cstdint>

#include "worker/nn/window.h"

namespace samovar {

// out[oh, ow] is the first maximum of its window clipped to the image, and at[oh, ow] its place in the plane; where nothing in
// the window is above -FLT_MAX they are -FLT_MAX and -1.
void MaxPoolForward(const Window& window, const float* in, float* out, int32_t* at);
// in_diff is written: zero but for the maxima, which get the sum of the out_diff of the windows they won.
void MaxPoolBackward(const Window& window, const float* out_diff, const int32_t* at, float* in_diff);

// The mean over the window clipped to the padded image: padding counts as zeros, what lies beyond does not count.
void AveragePoolForward(const Window& window, const float* in, float* out);
void AveragePoolBackward(const Window& window, const float* out_diff, float* in_diff);

}  // namespace samovar
