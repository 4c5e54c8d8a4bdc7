#include "common/data/image_decoder.h"

#include <tmmintrin.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/image_codecs.h"

namespace samovar {
namespace {

constexpr absl::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr absl::string_view kJpegSignature("\xff\xd8\xff", 3);

// Bytes of three registers that hold 16 pixels: which byte of each goes to which pixel of a plane; -1: none.
struct Picked {
  alignas(16) int8_t from[3][16];
};

constexpr Picked PickedFor(int channel) {
  Picked picked = {};
  for (auto& part : picked.from) {
    for (int8_t& from : part) from = -1;
  }
  for (int pixel = 0; pixel < 16; ++pixel) {
    const int at = 3 * pixel + channel;
    picked.from[at / 16][pixel] = static_cast<int8_t>(at % 16);
  }
  return picked;
}

// The compiler's own code for this takes as long as a third of decoding a JPEG.
void SeparateColours(const uint8_t* pixels, size_t count, size_t stride, uint8_t* planes) {
  static constexpr Picked kPicked[] = {PickedFor(0), PickedFor(1), PickedFor(2)};
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m128i in[3];
    for (int part = 0; part < 3; ++part)
      in[part] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + 3 * i + 16 * static_cast<size_t>(part)));
    for (size_t c = 0; c < 3; ++c) {
      __m128i out = _mm_setzero_si128();
      for (int part = 0; part < 3; ++part) {
        const __m128i from = _mm_load_si128(reinterpret_cast<const __m128i*>(kPicked[c].from[part]));
        out = _mm_or_si128(out, _mm_shuffle_epi8(in[part], from));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(planes + c * stride + i), out);
    }
  }
  for (; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) planes[c * stride + i] = pixels[3 * i + c];
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

void SeparatePixels(const uint8_t* pixels, size_t count, int channels, size_t stride, uint8_t* planes) {
  if (channels == 3) return SeparateColours(pixels, count, stride, planes);
  const auto values = static_cast<size_t>(channels);
  for (size_t c = 0; c < values; ++c) {
    for (size_t i = 0; i < count; ++i) planes[c * stride + i] = pixels[i * values + c];
  }
}

absl::Status DecodeImage(absl::string_view encoded, ImageChannels channels, Image* image) {
  const auto choose = [&](const RecordShape& shape) -> absl::StatusOr<RowRange> {
    image->shape = shape;
    image->data.resize(shape.elements());
    return RowRange{0, shape.height};
  };
  const auto take = [&](int y, const uint8_t* pixels) {
    const auto width = static_cast<size_t>(image->shape.width);
    const size_t plane = width * static_cast<size_t>(image->shape.height);
    auto* const planes = reinterpret_cast<uint8_t*>(image->data.data());
    SeparatePixels(pixels, width, image->shape.channels, plane, planes + static_cast<size_t>(y) * width);
  };
  return DecodeRows(encoded, channels, choose, take);
}

absl::Status DecodeRows(absl::string_view encoded, ImageChannels channels,
                        absl::FunctionRef<absl::StatusOr<RowRange>(const RecordShape& shape)> choose,
                        absl::FunctionRef<void(int y, const uint8_t* pixels)> take) {
  switch (ImageFormatOf(encoded)) {
    case ImageFormat::kJpeg:
      return DecodeJpegRows(encoded, channels, choose, take);
    case ImageFormat::kPng: {
      InterleavedImage image;
      SAMOVAR_RETURN_IF_ERROR(DecodePng(encoded, channels, &image));
      return TakeRows(image, choose, take);
    }
    case ImageFormat::kUnknown:
      break;
  }
  if (encoded.empty()) return absl::DataLossError("the image is empty");
  return absl::InvalidArgumentError("the image is neither JPEG nor PNG; convert it to one of them");
}

absl::Status TakeRows(const InterleavedImage& image,
                      absl::FunctionRef<absl::StatusOr<RowRange>(const RecordShape& shape)> choose,
                      absl::FunctionRef<void(int y, const uint8_t* pixels)> take) {
  SAMOVAR_ASSIGN_OR_RETURN(const RowRange rows, choose(image.shape));
  const size_t row_bytes = static_cast<size_t>(image.shape.channels) * static_cast<size_t>(image.shape.width);
  for (int y = rows.begin; y < rows.end; ++y) take(y, image.pixels.data() + static_cast<size_t>(y) * row_bytes);
  return absl::OkStatus();
}

}  // namespace samovar
