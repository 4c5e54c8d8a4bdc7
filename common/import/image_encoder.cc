#include "common/import/image_encoder.h"

#include <jpeglib.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

constexpr int kQuality = 95;

std::vector<uint8_t> Interleave(const Image& image) {
  std::vector<uint8_t> pixels(image.data.size());
  const size_t channels = static_cast<size_t>(image.shape.channels);
  const size_t plane = pixels.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    for (size_t i = 0; i < plane; ++i) pixels[i * channels + c] = static_cast<uint8_t>(image.data[c * plane + i]);
  }
  return pixels;
}

// Errors jump, as in jpeg_decoder.cc.
class JpegWriter {
 public:
  JpegWriter() = default;
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() {
    jpeg_destroy_compress(&jpeg_);
    std::free(bytes_);
  }

  // False: error() says why.
  bool Write(const RecordShape& shape, const uint8_t* pixels) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr jpeg) {
      auto* self = static_cast<JpegWriter*>(jpeg->client_data);
      jpeg->err->format_message(jpeg, self->text_);
      longjmp(self->landing_, 1);
    };
    errors_.output_message = [](j_common_ptr) {};
    jpeg_.client_data = this;
    if (setjmp(landing_) != 0) return false;
    jpeg_create_compress(&jpeg_);
    jpeg_.client_data = this;
    jpeg_mem_dest(&jpeg_, &bytes_, &size_);
    jpeg_.image_height = static_cast<JDIMENSION>(shape.height);
    jpeg_.image_width = static_cast<JDIMENSION>(shape.width);
    jpeg_.input_components = shape.channels;
    jpeg_.in_color_space = shape.channels == 1 ? JCS_GRAYSCALE : JCS_EXT_BGR;
    jpeg_set_defaults(&jpeg_);
    jpeg_set_quality(&jpeg_, kQuality, TRUE);
    jpeg_start_compress(&jpeg_, TRUE);
    const size_t row_bytes = static_cast<size_t>(shape.channels) * static_cast<size_t>(shape.width);
    while (jpeg_.next_scanline < jpeg_.image_height) {
      JSAMPROW row = const_cast<JSAMPROW>(pixels + jpeg_.next_scanline * row_bytes);
      jpeg_write_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_compress(&jpeg_);
    return true;
  }

  std::string bytes() const { return {reinterpret_cast<const char*>(bytes_), size_}; }
  absl::Status error() const { return absl::InvalidArgumentError(absl::StrCat("cannot make a JPEG: ", text_)); }

 private:
  jpeg_compress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
  jmp_buf landing_;
  char text_[JMSG_LENGTH_MAX] = {};
};

absl::StatusOr<std::string> EncodePng(const RecordShape& shape, const std::vector<uint8_t>& pixels) {
  // libpng's simple interface, which does not jump.
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.height = static_cast<png_uint_32>(shape.height);
  png.width = static_cast<png_uint_32>(shape.width);
  png.format = shape.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_BGR;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, pixels.data(), 0, nullptr) == 0)
    return absl::InvalidArgumentError(absl::StrCat("cannot make a PNG: ", png.message));
  bytes.resize(size);
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> EncodeImage(const Image& image, ImageFormat format) {
  if (image.shape.channels != 1 && image.shape.channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("an image of ", image.shape.channels, " channels cannot be encoded; it must have 1 or 3"));
  }
  const std::vector<uint8_t> pixels = Interleave(image);
  if (format == ImageFormat::kPng) return EncodePng(image.shape, pixels);
  if (format != ImageFormat::kJpeg) return absl::InvalidArgumentError("an image is encoded as JPEG or as PNG");
  JpegWriter writer;
  if (!writer.Write(image.shape, pixels.data())) return writer.error();
  return writer.bytes();
}

}  // namespace samovar
