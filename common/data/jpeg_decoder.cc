// JPEG by libjpeg, the only door to its decoder.
//
// libjpeg reports an error by a call that must not return, and ours jumps (longjmp) back to the method that called the
// library. So each of these methods sets its own landing place and has, between there and its end, no object with a
// destructor.
#include <setjmp.h>
#include <stdio.h>
// Behind stdio.h, whose types it needs.
#include <jpeglib.h>
// Behind jpeglib.h.
#include <jerror.h>

#include <memory>
#include <new>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/image_codecs.h"

namespace samovar {
namespace {

// Scans of a progressive image; ten are usual, and each costs a pass over the whole image.
constexpr int kMaxScans = 500;

class JpegReader {
 public:
  JpegReader() = default;
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }

  // False: error() says why.
  bool ReadHeader(absl::string_view encoded) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = &OnError;
    errors_.emit_message = &OnMessage;
    errors_.output_message = [](j_common_ptr) {};
    jpeg_.client_data = this;
    if (setjmp(landing_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.client_data = this;
    progress_.progress_monitor = &OnProgress;
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(encoded.data()),
                 static_cast<unsigned long>(encoded.size()));
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  // `pixels` has room for height() rows of width() pixels in this colour space. REQUIRES: ReadHeader returned true.
  bool ReadPixels(J_COLOR_SPACE space, uint8_t* pixels) {
    if (setjmp(landing_) != 0) return false;
    jpeg_.out_color_space = space;
    jpeg_start_decompress(&jpeg_);
    const size_t row_bytes = static_cast<size_t>(jpeg_.output_width) * static_cast<size_t>(jpeg_.output_components);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels + jpeg_.output_scanline * row_bytes;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  // Gives rows to `take`; `row` has room for one, as above.
  bool ReadRows(J_COLOR_SPACE space, const RowRange& rows, uint8_t* row,
                absl::FunctionRef<void(int y, const uint8_t* pixels)> take) {
    if (setjmp(landing_) != 0) return false;
    jpeg_.out_color_space = space;
    jpeg_start_decompress(&jpeg_);
    const bool none = rows.begin >= rows.end;
    if (!none && rows.begin > 0) jpeg_skip_scanlines(&jpeg_, static_cast<JDIMENSION>(rows.begin));
    while (!none && jpeg_.output_scanline < static_cast<JDIMENSION>(rows.end)) {
      const int y = static_cast<int>(jpeg_.output_scanline);
      jpeg_read_scanlines(&jpeg_, &row, 1);
      take(y, row);
    }
    // The library does not look at what it skips at the end, but at what lies before a row that is read.
    const JDIMENSION rest = jpeg_.output_height - jpeg_.output_scanline;
    if (rest > 1) jpeg_skip_scanlines(&jpeg_, rest - 1);
    if (rest > 0) jpeg_read_scanlines(&jpeg_, &row, 1);
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  uint32_t height() const { return jpeg_.image_height; }
  uint32_t width() const { return jpeg_.image_width; }
  int components() const { return jpeg_.num_components; }

  absl::Status error() const {
    if (code_ == JERR_OUT_OF_MEMORY) return absl::ResourceExhaustedError("no memory to decode the JPEG");
    return absl::DataLossError(absl::StrCat("the JPEG is damaged: ", text_));
  }

 private:
  [[noreturn]] static void OnError(j_common_ptr jpeg) {
    auto* self = static_cast<JpegReader*>(jpeg->client_data);
    self->code_ = jpeg->err->msg_code;
    jpeg->err->format_message(jpeg, self->text_);
    longjmp(self->landing_, 1);
  }

  // The library goes on with gray where data is missing; here that is an error. Rubbish between the markers is no
  // error.
  static void OnMessage(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_ARITH_BAD_CODE:
      case JWRN_MUST_RESYNC:
      case JWRN_NOT_SEQUENTIAL:
        OnError(jpeg);
      default:
        break;
    }
  }

  static void OnProgress(j_common_ptr jpeg) {
    if (!jpeg->is_decompressor) return;
    if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
    jpeg->err->msg_code = JERR_NOT_COMPILED;
    auto* self = static_cast<JpegReader*>(jpeg->client_data);
    snprintf(self->text_, sizeof(self->text_), "more than %d scans", kMaxScans);
    longjmp(self->landing_, 1);
  }

  jpeg_decompress_struct jpeg_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  jmp_buf landing_;
  int code_ = 0;
  char text_[JMSG_LENGTH_MAX] = {};
};

// Adobe's CMYK, which counts from white.
void CmykToColour(const std::vector<uint8_t>& cmyk, InterleavedImage* image) {
  const size_t pixels = cmyk.size() / 4;
  const bool gray = image->shape.channels == 1;
  uint8_t* out = image->pixels.data();
  for (size_t i = 0; i < pixels; ++i) {
    const int black = cmyk[4 * i + 3];
    const auto mix = [&](size_t ink) { return black - ((255 - cmyk[4 * i + ink]) * black >> 8); };
    const int red = mix(0), green = mix(1), blue = mix(2);
    if (gray) {
      *out++ = GrayOf(blue, green, red);
    } else {
      *out++ = static_cast<uint8_t>(blue);
      *out++ = static_cast<uint8_t>(green);
      *out++ = static_cast<uint8_t>(red);
    }
  }
}

J_COLOR_SPACE SpaceOf(const RecordShape& shape) { return shape.channels == 1 ? JCS_GRAYSCALE : JCS_EXT_BGR; }

// The shape that an image is decoded to.
absl::StatusOr<RecordShape> Begin(absl::string_view encoded, ImageChannels channels, JpegReader* reader) {
  if (!reader->ReadHeader(encoded)) return reader->error();
  const int components = reader->components();
  if (components != 1 && components != 3 && components != 4) {
    return absl::UnimplementedError(
        absl::StrCat("the JPEG has ", components, " components; convert it to gray or RGB"));
  }
  const bool gray = channels == ImageChannels::kGray || (channels == ImageChannels::kAsStored && components == 1);
  SAMOVAR_RETURN_IF_ERROR(CheckImageSize(reader->height(), reader->width(), components == 4 ? 4 : gray ? 1 : 3));
  return RecordShape{gray ? 1 : 3, static_cast<int>(reader->height()), static_cast<int>(reader->width())};
}

absl::Status DecodeCmyk(const RecordShape& shape, JpegReader* reader, InterleavedImage* image) {
  image->shape = shape;
  image->pixels.resize(shape.elements());
  std::vector<uint8_t> cmyk(size_t{4} * reader->height() * reader->width());
  if (!reader->ReadPixels(JCS_CMYK, cmyk.data())) return reader->error();
  CmykToColour(cmyk, image);
  return absl::OkStatus();
}

// Room for a row. The library writes to an aligned address past the caches, and the row is read at once.
class Row {
 public:
  explicit Row(size_t bytes) : room_(bytes + kAlignment) {
    const auto address = reinterpret_cast<uintptr_t>(room_.data());
    at_ = room_.data() + (kAlignment + 8 - address % kAlignment) % kAlignment;
  }
  uint8_t* data() { return at_; }

 private:
  static constexpr size_t kAlignment = 64;
  std::vector<uint8_t> room_;
  uint8_t* at_;
};

}  // namespace

absl::Status DecodeJpegRows(absl::string_view encoded, ImageChannels channels,
                            absl::FunctionRef<absl::StatusOr<RowRange>(const RecordShape& shape)> choose,
                            absl::FunctionRef<void(int y, const uint8_t* pixels)> take) {
  JpegReader reader;
  SAMOVAR_ASSIGN_OR_RETURN(const RecordShape shape, Begin(encoded, channels, &reader));
  if (reader.components() == 4) {
    InterleavedImage image;
    SAMOVAR_RETURN_IF_ERROR(DecodeCmyk(shape, &reader, &image));
    return TakeRows(image, choose, take);
  }
  SAMOVAR_ASSIGN_OR_RETURN(const RowRange rows, choose(shape));
  Row row(static_cast<size_t>(shape.channels) * static_cast<size_t>(shape.width));
  return reader.ReadRows(SpaceOf(shape), rows, row.data(), take) ? absl::OkStatus() : reader.error();
}

}  // namespace samovar
