// The two decoders behind image_decoder.h, and their common parts.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/data/image.h"
#include "common/data/image_decoder.h"

namespace samovar {

// An image as the libraries give it: rows of pixels, `shape.channels` bytes a pixel in the order of Image's planes.
struct InterleavedImage {
  RecordShape shape;
  std::vector<uint8_t> pixels;
};

// As DecodeRows.
absl::Status DecodeJpegRows(absl::string_view encoded, ImageChannels channels,
                            absl::FunctionRef<absl::StatusOr<RowRange>(const RecordShape& shape)> choose,
                            absl::FunctionRef<void(int y, const uint8_t* pixels)> take);
// As DecodeImage.
absl::Status DecodePng(absl::string_view encoded, ImageChannels channels, InterleavedImage* image);

// The rest of DecodeRows for an image that is decoded.
absl::Status TakeRows(const InterleavedImage& image,
                      absl::FunctionRef<absl::StatusOr<RowRange>(const RecordShape& shape)> choose,
                      absl::FunctionRef<void(int y, const uint8_t* pixels)> take);

// INVALID_ARGUMENT: larger than a record may be.
absl::Status CheckImageSize(uint64_t height, uint64_t width, int channels);

// 0.299 R + 0.587 G + 0.114 B, rounded: the weights in units of 2^-14.
inline uint8_t GrayOf(int blue, int green, int red) {
  return static_cast<uint8_t>((blue * 1868 + green * 9617 + red * 4899 + (1 << 13)) >> 14);
}

}  // namespace samovar
