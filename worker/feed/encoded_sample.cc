#include "worker/feed/encoded_sample.h"

#include "common/base/status_macros.h"
#include "common/data/image_decoder.h"

namespace samovar {

absl::Status EncodedSample::Apply(absl::string_view encoded, ImageChannels channels, const Transformer& transformer,
                                  const Draw& draw, float* out) {
  RecordShape shape;
  Transformer::View view;
  const auto choose = [&](const RecordShape& decoded) -> absl::StatusOr<RowRange> {
    SAMOVAR_ASSIGN_OR_RETURN(view, transformer.Place(decoded, draw));
    shape = decoded;
    planes_.resize(static_cast<size_t>(shape.channels) * static_cast<size_t>(shape.width));
    return RowRange{view.top, view.top + transformer.output_shape().height};
  };
  const auto take = [&](int y, const uint8_t* pixels) {
    const auto width = static_cast<size_t>(shape.width);
    SeparatePixels(pixels, width, shape.channels, width, planes_.data());
    transformer.ApplyRow(shape, view, y, planes_.data(), out);
  };
  return DecodeRows(encoded, channels, choose, take);
}

}  // namespace samovar
