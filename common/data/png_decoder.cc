// PNG by libpng, the only door to its decoder. Errors jump, as in jpeg_decoder.cc.
#include <png.h>
#include <setjmp.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/image_codecs.h"

namespace samovar {
namespace {

// The largest chunk that holds no pixels: comments, profiles.
constexpr size_t kMaxChunkBytes = 8 << 20;

class PngReader {
 public:
  explicit PngReader(absl::string_view encoded) : rest_(encoded) {}
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  // False: error() says why.
  bool ReadHeader() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &OnError, [](png_structp, png_const_charp) {});
    if (png_ == nullptr) return false;
    if (setjmp(landing_) != 0) return false;
    info_ = png_create_info_struct(png_);
    if (info_ == nullptr) return false;
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_read_fn(png_, this, &OnRead);
    png_read_info(png_, info_);
    return true;
  }

  // The channels that OpenCV gives an image.
  int StoredChannels() const {
    const int type = png_get_color_type(png_, info_);
    if (type == PNG_COLOR_TYPE_GRAY) return 1;
    if ((type & PNG_COLOR_MASK_ALPHA) != 0) return 4;
    return png_get_valid(png_, info_, PNG_INFO_tRNS) != 0 ? 4 : 3;
  }

  // `rows`: one pointer a row, each with room for width() pixels of so many channels (1, 3 or 4).
  // REQUIRES: ReadHeader returned true.
  bool ReadPixels(int channels, png_bytepp rows) {
    if (setjmp(landing_) != 0) return false;
    const int type = png_get_color_type(png_, info_);
    const bool coloured = (type & PNG_COLOR_MASK_COLOR) != 0;
    png_set_strip_16(png_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (!coloured) png_set_expand_gray_1_2_4_to_8(png_);
    if (channels == 4) {
      png_set_tRNS_to_alpha(png_);
    } else {
      png_set_strip_alpha(png_);
    }
    if (channels == 1 && coloured) png_set_rgb_to_gray_fixed(png_, PNG_ERROR_ACTION_NONE, 29900, 58700);
    if (channels > 1 && !coloured) png_set_gray_to_rgb(png_);
    if (channels > 1) png_set_bgr(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_channels(png_, info_) != channels || png_get_bit_depth(png_, info_) != 8)
      png_error(png_, "its colour type cannot be converted");
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  uint32_t height() const { return png_get_image_height(png_, info_); }
  uint32_t width() const { return png_get_image_width(png_, info_); }

  absl::Status error() const {
    if (png_ == nullptr || info_ == nullptr) return absl::ResourceExhaustedError("no memory to decode the PNG");
    return absl::DataLossError(absl::StrCat("the PNG is damaged: ", text_));
  }

 private:
  [[noreturn]] static void OnError(png_structp png, png_const_charp text) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    strncpy(self->text_, text, sizeof(self->text_) - 1);
    longjmp(self->landing_, 1);
  }

  static void OnRead(png_structp png, png_bytep out, size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "it ends too early");
    std::memcpy(out, self->rest_.data(), count);
    self->rest_.remove_prefix(count);
  }

  absl::string_view rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  jmp_buf landing_;
  char text_[128] = {};
};

}  // namespace

absl::Status DecodePng(absl::string_view encoded, ImageChannels channels, InterleavedImage* image) {
  PngReader reader(encoded);
  if (!reader.ReadHeader()) return reader.error();
  const int count = channels == ImageChannels::kGray     ? 1
                    : channels == ImageChannels::kColour ? 3
                                                         : reader.StoredChannels();
  // Four: the library may need as many inside.
  SAMOVAR_RETURN_IF_ERROR(CheckImageSize(reader.height(), reader.width(), 4));
  image->shape = {count, static_cast<int>(reader.height()), static_cast<int>(reader.width())};
  image->pixels.resize(image->shape.elements());
  std::vector<png_bytep> rows(reader.height());
  const size_t row_bytes = static_cast<size_t>(count) * reader.width();
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image->pixels.data() + y * row_bytes;
  return reader.ReadPixels(count, rows.data()) ? absl::OkStatus() : reader.error();
}

}  // namespace samovar
