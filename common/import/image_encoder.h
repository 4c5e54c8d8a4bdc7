// Encoding of images, for data sets that keep them encoded.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/data/image.h"
#include "common/data/image_decoder.h"

namespace samovar {

// As JPEG of quality 95 (which is OpenCV's), or as PNG. RESOURCE_EXHAUSTED: no memory. INVALID_ARGUMENT: an unknown
// format, other than 1 or 3 channels, or a side of more than 65500 pixels for JPEG.
absl::StatusOr<std::string> EncodeImage(const Image& image, ImageFormat format);

}  // namespace samovar
