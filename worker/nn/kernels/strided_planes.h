// Every stride-th row and column of planes.
#pragma once

#include <cstdint>

#include "worker/nn/kernels/window.h"

namespace samovar {

// Whether the window sees one place of the image for each output, and leaves others out.
bool SkipsPlaces(const Window& window);
// The window over an image of the places that are seen alone. REQUIRES: SkipsPlaces()
Window WithoutSkips(const Window& window);

// planes: [channels, in_h, in_w] of a window that skips places; picked: [channels, out_h, out_w].
void PickPlaces(const Window& window, int64_t channels, const float* planes, float* picked);
// Places that are not picked become zero.
void SpreadPlaces(const Window& window, int64_t channels, const float* picked, float* planes);

}  // namespace samovar
