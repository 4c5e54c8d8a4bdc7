// Decoding of JPEG and PNG images; the bytes are those that OpenCV decodes to.
//
// Gray from colours: of a JPEG its luma, else 0.299 R + 0.587 G + 0.114 B, rounded. Transparency is dropped unless it
// is stored and asked for. PNGs of fewer bits are widened to 8, of 16 bits the upper 8 are taken. CMYK is made RGB
// without colour profiles. Not applied: the orientation that cameras note in EXIF, profiles and gamma.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/data/image.h"

namespace samovar {

enum class ImageFormat { kUnknown, kJpeg, kPng };

// By the first bytes.
ImageFormat ImageFormatOf(absl::string_view encoded);

// Reuse the image: its memory is kept. DATA_LOSS: truncated or damaged. INVALID_ARGUMENT: neither JPEG nor PNG, or
// larger than kMaxRecordElements. UNIMPLEMENTED: a variant that is not offered. RESOURCE_EXHAUSTED: no memory. The
// message says what is wrong and leaves it to the caller to name the image.
absl::Status DecodeImage(absl::string_view encoded, ImageChannels channels, Image* image);

// Rows begin ... end-1 of an image.
struct RowRange {
  int begin = 0;
  int end = 0;
};

// The bytes of DecodeImage, row after row. `choose` gets the shape that the image is decoded to, once, and names the
// rows that are wanted, which lie within it, or refuses the image, which ends the call. `take` gets each of these rows,
// in order: `channels` bytes a pixel, in the order of Image's planes. It must not throw. Of the other rows a JPEG's
// codes alone are read, so that damage is found in all of it. Errors of DecodeImage, after some rows perhaps, and of
// `choose`.
absl::Status DecodeRows(absl::string_view encoded, ImageChannels channels,
                        absl::FunctionRef<absl::StatusOr<RowRange>(const RecordShape& shape)> choose,
                        absl::FunctionRef<void(int y, const uint8_t* pixels)> take);

// Writes value c of each of `count` pixels, `channels` bytes each, to planes[c * stride] and on.
void SeparatePixels(const uint8_t* pixels, size_t count, int channels, size_t stride, uint8_t* planes);

}  // namespace samovar
