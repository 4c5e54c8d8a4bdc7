#include <algorithm>

#include "absl/strings/escaping.h"
#include "common/data/image_decoder.h"
#include "common/data/image_resize.h"
#include "common/import/image_encoder.h"
#include "tests/common/data/golden_images.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

const GoldenImage* const kAll[] = {&kJpeg,    &kGrayJpeg, &kCmykJpeg,   &kPng,
                                   &kDeepPng, &kAlphaPng, &kPalettePng, &kBitPng};

Image Decode(const GoldenImage& golden, ImageChannels channels) {
  Image image;
  REQUIRE_OK(DecodeImage(absl::HexStringToBytes(golden.file), channels, &image));
  return image;
}

// Changes from pixel to pixel, but smoothly.
Image MakeImage(const RecordShape& shape) {
  Image image{shape, {}};
  for (size_t i = 0; i < shape.elements(); ++i) image.data.push_back(static_cast<char>(3 * i % 251));
  return image;
}

// The rows begin ... end-1 of the planes, from DecodeRows; the rest is zero.
absl::StatusOr<Image> DecodeSomeRows(const std::string& bytes, ImageChannels channels, RowRange rows) {
  Image image;
  const auto choose = [&](const RecordShape& shape) -> absl::StatusOr<RowRange> {
    image = {shape, std::string(shape.elements(), 0)};
    return RowRange{std::min(rows.begin, shape.height), std::min(rows.end, shape.height)};
  };
  int next = rows.begin;
  const auto take = [&](int y, const uint8_t* pixels) {
    CHECK(y == next++);
    const auto width = static_cast<size_t>(image.shape.width);
    const size_t plane = width * static_cast<size_t>(image.shape.height);
    auto* planes = reinterpret_cast<uint8_t*>(image.data.data());
    SeparatePixels(pixels, width, image.shape.channels, plane, planes + static_cast<size_t>(y) * width);
  };
  const absl::Status status = DecodeRows(bytes, channels, choose, take);
  if (!status.ok()) return status;
  return image;
}

// The same, of the whole image.
std::string RowsOf(const Image& image, const RowRange& rows) {
  std::string some = image.data;
  for (size_t i = 0; i < some.size(); ++i) {
    const auto y = static_cast<int>(i / static_cast<size_t>(image.shape.width)) % image.shape.height;
    if (y < rows.begin || y >= rows.end) some[i] = 0;
  }
  return some;
}

absl::Status StatusOfDecoding(const std::string& bytes) {
  Image image;
  return DecodeImage(bytes, ImageChannels::kColour, &image);
}

TEST_CASE("images are decoded to the bytes that OpenCV decodes them to") {
  for (const GoldenImage* golden : kAll) {
    INFO(golden->file);
    const Image stored = Decode(*golden, ImageChannels::kAsStored);
    CHECK(stored.shape == RecordShape{golden->stored_channels, 4, 5});
    CHECK(absl::BytesToHexString(stored.data) == golden->stored);
    const Image colour = Decode(*golden, ImageChannels::kColour);
    CHECK(colour.shape == RecordShape{3, 4, 5});
    CHECK(absl::BytesToHexString(colour.data) == golden->colour);
    const Image gray = Decode(*golden, ImageChannels::kGray);
    CHECK(gray.shape == RecordShape{1, 4, 5});
    CHECK(absl::BytesToHexString(gray.data) == golden->gray);
  }
}

TEST_CASE("rows of an image are those of the whole image, whichever are wanted") {
  for (const GoldenImage* golden : kAll) {
    for (const ImageChannels channels : {ImageChannels::kAsStored, ImageChannels::kColour, ImageChannels::kGray}) {
      const Image whole = Decode(*golden, channels);
      for (const RowRange& rows : {RowRange{0, 4}, RowRange{1, 3}, RowRange{3, 4}, RowRange{0, 0}}) {
        const auto some = DecodeSomeRows(absl::HexStringToBytes(golden->file), channels, rows);
        REQUIRE_OK(some);
        CHECK(some->shape == whole.shape);
        CHECK(some->data == RowsOf(whole, rows));
      }
    }
  }
  // Several rows of blocks, of which some are not computed.
  for (const RecordShape& shape : {RecordShape{3, 83, 41}, RecordShape{1, 83, 41}, RecordShape{3, 64, 48}}) {
    const std::string jpeg = *EncodeImage(MakeImage(shape), ImageFormat::kJpeg);
    Image whole;
    REQUIRE_OK(DecodeImage(jpeg, ImageChannels::kColour, &whole));
    for (int begin = 0; begin <= shape.height; ++begin) {
      for (const int count : {0, 1, 2, 15, 16, 17, 40, shape.height}) {
        const RowRange rows = {begin, std::min(begin + count, shape.height)};
        const auto some = DecodeSomeRows(jpeg, ImageChannels::kColour, rows);
        REQUIRE_OK(some);
        INFO(shape.height << " rows, " << rows.begin << " to " << rows.end);
        REQUIRE(some->data == RowsOf(whole, rows));
      }
    }
  }
}

TEST_CASE("damage is found where no row is wanted, and a refusal of the shape ends the decoding") {
  const std::string whole = *EncodeImage(MakeImage({3, 83, 41}), ImageFormat::kJpeg);
  int refused = 0;
  for (size_t i = 20; i < whole.size(); i += 3) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    for (const std::string& bytes : {damaged, whole.substr(0, i)}) {
      const absl::Status status = StatusOfDecoding(bytes);
      refused += !status.ok();
      for (const RowRange& rows : {RowRange{0, 0}, RowRange{0, 20}, RowRange{30, 50}, RowRange{70, 83}}) {
        INFO("byte " << i << " of " << bytes.size() << ", rows " << rows.begin << " to " << rows.end);
        REQUIRE(DecodeSomeRows(bytes, ImageChannels::kColour, rows).status() == status);
      }
    }
  }
  REQUIRE(refused > 300);
  const auto refuse = [](const RecordShape&) { return absl::OutOfRangeError("too large"); };
  REQUIRE_STATUS(DecodeRows(whole, ImageChannels::kColour, refuse, [](int, const uint8_t*) { FAIL(); }),
                 absl::StatusCode::kOutOfRange, "too large");
}

TEST_CASE("images are resized to the bytes that OpenCV resizes them to") {
  const Image image = Decode(kPng, ImageChannels::kColour);
  Image resized;
  ResizeImage(image, 7, 3, &resized);
  REQUIRE(resized.shape == RecordShape{3, 7, 3});
  REQUIRE(absl::BytesToHexString(resized.data) == kPngAs7x3);
  ResizeImage(image, 2, 9, &resized);
  REQUIRE(absl::BytesToHexString(resized.data) == kPngAs2x9);
}

TEST_CASE("an image that is resized to its own size stays, one of a single value keeps it, and halves are means") {
  Image resized;
  const Image image = MakeImage({3, 4, 6});
  ResizeImage(image, 4, 6, &resized);
  REQUIRE(resized.data == image.data);
  ResizeImage({{1, 3, 5}, std::string(15, '\xc8')}, 40, 2, &resized);
  REQUIRE(resized.data == std::string(80, '\xc8'));
  ResizeImage({{1, 2, 4}, std::string("\x01\x02\x0a\x0b\x03\x05\x0c\x0e", 8)}, 1, 2, &resized);
  REQUIRE(resized.data == "\x03\x0c");  // (1 + 2 + 3 + 5) / 4 and (10 + 11 + 12 + 14) / 4, rounded
  ResizeImage({{1, 1, 1}, "x"}, 3, 3, &resized);
  REQUIRE(resized.data == "xxxxxxxxx");
}

TEST_CASE("an encoded PNG is decoded to the same bytes, a JPEG nearly") {
  for (const RecordShape& shape : {RecordShape{1, 17, 9}, RecordShape{3, 9, 17}, RecordShape{3, 1, 1}}) {
    const Image image = MakeImage(shape);
    for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg}) {
      const auto encoded = EncodeImage(image, format);
      REQUIRE_OK(encoded);
      REQUIRE(ImageFormatOf(*encoded) == format);
      Image decoded;
      REQUIRE_OK(DecodeImage(*encoded, ImageChannels::kAsStored, &decoded));
      REQUIRE(decoded.shape == shape);
      if (format == ImageFormat::kPng) REQUIRE(decoded.data == image.data);
    }
  }
  // JPEG of quality 95 keeps a gray gradient within a few steps.
  Image gradient{{1, 16, 16}, {}};
  for (int i = 0; i < 256; ++i) gradient.data.push_back(static_cast<char>(i / 16 * 8 + i % 16 * 4));
  Image decoded;
  REQUIRE_OK(DecodeImage(*EncodeImage(gradient, ImageFormat::kJpeg), ImageChannels::kAsStored, &decoded));
  for (size_t i = 0; i < 256; ++i) {
    REQUIRE(std::abs(static_cast<unsigned char>(decoded.data[i]) - static_cast<unsigned char>(gradient.data[i])) <= 4);
  }
  REQUIRE_STATUS(EncodeImage(MakeImage({2, 4, 4}), ImageFormat::kPng), absl::StatusCode::kInvalidArgument,
                 "2 channels");
  REQUIRE_STATUS(EncodeImage(MakeImage({1, 1, 70'000}), ImageFormat::kJpeg), absl::StatusCode::kInvalidArgument,
                 "JPEG");
}

TEST_CASE("what is no image is named as that") {
  REQUIRE_STATUS(StatusOfDecoding(""), absl::StatusCode::kDataLoss, "the image is empty");
  REQUIRE_STATUS(StatusOfDecoding("GIF89a"), absl::StatusCode::kInvalidArgument, "neither JPEG nor PNG");
}

TEST_CASE("an image that ends early is an error wherever it ends") {
  for (const GoldenImage* golden : {&kJpeg, &kCmykJpeg, &kPng, &kPalettePng}) {
    const std::string whole = absl::HexStringToBytes(golden->file);
    for (size_t size = 8; size + 2 < whole.size(); ++size) {
      INFO(golden->file << " to " << size);
      REQUIRE_STATUS(StatusOfDecoding(whole.substr(0, size)), absl::StatusCode::kDataLoss, "is damaged");
    }
  }
  // An image of many pixels, so that the end comes in the middle of the rows.
  for (const ImageFormat format : {ImageFormat::kJpeg, ImageFormat::kPng}) {
    const std::string whole = *EncodeImage(MakeImage({3, 300, 200}), format);
    REQUIRE_STATUS(StatusOfDecoding(whole.substr(0, whole.size() / 2)), absl::StatusCode::kDataLoss, "is damaged");
  }
}

TEST_CASE("whichever byte of an image is wrong, it is decoded or refused") {
  int refused = 0;
  for (const GoldenImage* golden : kAll) {
    const std::string whole = absl::HexStringToBytes(golden->file);
    for (size_t i = 0; i < whole.size(); ++i) {
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ change);
        refused += !StatusOfDecoding(damaged).ok();
      }
    }
  }
  REQUIRE(refused > 1000);
}

TEST_CASE("an image that claims to be larger than any record is refused before there is memory for it") {
  std::string jpeg = absl::HexStringToBytes(kJpeg.file);
  const size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\xff\xff\xff");
  REQUIRE_STATUS(StatusOfDecoding(jpeg), absl::StatusCode::kDataLoss, "65500");
  jpeg.replace(frame + 5, 4, "\xfe\xfe\xfe\xfe");
  REQUIRE_STATUS(StatusOfDecoding(jpeg), absl::StatusCode::kInvalidArgument, "65278 pixels high and 65278 wide");
}

}  // namespace
}  // namespace samovar
