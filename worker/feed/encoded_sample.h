// From an encoded image straight to the sample that a net sees, without the image in between.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/data/image.h"
#include "worker/feed/transformer.h"

namespace samovar {

// Thread safety: one thread at a time.
class EncodedSample {
 public:
  // Writes to `out` what `transformer` makes of the decoded image: DecodeImage, then Transformer::Apply, to the bit.
  // Errors of both; then `out` may hold some rows.
  absl::Status Apply(absl::string_view encoded, ImageChannels channels, const Transformer& transformer,
                     const Draw& draw, float* out);

 private:
  std::vector<uint8_t> planes_;  // one row; kept for its memory
};

}  // namespace samovar
