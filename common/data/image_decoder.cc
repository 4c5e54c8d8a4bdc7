#include "common/data/image_decoder.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/image_codecs.h"

namespace samovar {
namespace {

constexpr absl::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr absl::string_view kJpegSignature("\xff\xd8\xff", 3);

void Separate(const InterleavedImage& from, Image* to) {
  to->shape = from.shape;
  to->data.resize(from.shape.elements());
  const size_t channels = static_cast<size_t>(from.shape.channels);
  const size_t pixels = from.shape.elements() / channels;
  for (size_t c = 0; c < channels; ++c) {
    const uint8_t* in = from.pixels.data() + c;
    char* out = to->data.data() + c * pixels;
    for (size_t i = 0; i < pixels; ++i) out[i] = static_cast<char>(in[i * channels]);
  }
}

}  // namespace

ImageFormat ImageFormatOf(absl::string_view encoded) {
  if (absl::StartsWith(encoded, kJpegSignature)) return ImageFormat::kJpeg;
  if (absl::StartsWith(encoded, kPngSignature)) return ImageFormat::kPng;
  return ImageFormat::kUnknown;
}

absl::Status CheckImageSize(uint64_t height, uint64_t width, int channels) {
  // Both decoders' sizes have 32 bits, so the first product fits.
  if (height >= 1 && width >= 1 && height * width <= kMaxRecordElements / static_cast<size_t>(channels))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the image is ", height, " pixels high and ", width, " wide; ",
                                                 kMaxRecordElements,
                                                 " values (channels x height x width) are the most "
                                                 "that a record may have"));
}

absl::Status DecodeImage(absl::string_view encoded, ImageChannels channels, Image* image) {
  InterleavedImage interleaved;
  switch (ImageFormatOf(encoded)) {
    case ImageFormat::kJpeg:
      SAMOVAR_RETURN_IF_ERROR(DecodeJpeg(encoded, channels, &interleaved));
      break;
    case ImageFormat::kPng:
      SAMOVAR_RETURN_IF_ERROR(DecodePng(encoded, channels, &interleaved));
      break;
    case ImageFormat::kUnknown:
      if (encoded.empty()) return absl::DataLossError("the image is empty");
      return absl::InvalidArgumentError("the image is neither JPEG nor PNG; convert it to one of them");
  }
  Separate(interleaved, image);
  return absl::OkStatus();
}

}  // namespace samovar
