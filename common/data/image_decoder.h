// Decoding of JPEG and PNG images; the bytes are those that OpenCV decodes to.
//
// Gray from colours: of a JPEG its luma, else 0.299 R + 0.587 G + 0.114 B, rounded. Transparency is dropped unless it
// is stored and asked for. PNGs of fewer bits are widened to 8, of 16 bits the upper 8 are taken. CMYK is made RGB
// without colour profiles. Not applied: the orientation that cameras note in EXIF, profiles and gamma.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include "absl/status/status.h"
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

}  // namespace samovar
