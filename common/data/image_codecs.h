// The two decoders behind image_decoder.h, and their common parts.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/data/image.h"

namespace samovar {

// An image as the libraries give it: rows of pixels, `shape.channels` bytes a pixel in the order of Image's planes.
struct InterleavedImage {
  RecordShape shape;
  std::vector<uint8_t> pixels;
};

// As DecodeImage.
absl::Status DecodeJpeg(absl::string_view encoded, ImageChannels channels, InterleavedImage* image);
absl::Status DecodePng(absl::string_view encoded, ImageChannels channels, InterleavedImage* image);

// INVALID_ARGUMENT: larger than a record may be.
absl::Status CheckImageSize(uint64_t height, uint64_t width, int channels);

// 0.299 R + 0.587 G + 0.114 B, rounded: the weights in units of 2^-14.
inline uint8_t GrayOf(int blue, int green, int red) {
  return static_cast<uint8_t>((blue * 1868 + green * 9617 + red * 4899 + (1 << 13)) >> 14);
}

}  // namespace samovar
