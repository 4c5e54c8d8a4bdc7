#include "worker/train/finite_check.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/vector_level.h"

namespace samovar {
namespace {

bool AllFinite(std::span<const float> values) {
  // An exponent of all ones is NaN or infinity. In integers, since a float reduction would not be vectorised.
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t found = 0;
  AtVectorLevel([values, &found] {
    uint32_t bad = 0;
    for (float value : values) bad |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
    found = bad;
  });
  return found == 0;
}

}  // namespace

std::optional<std::string> FindBadGradient(std::span<const float> gradients, uint64_t begin,
                                           const v1::ParameterLayout& layout) {
  if (AllFinite(gradients)) return std::nullopt;
  const auto bad = std::find_if(gradients.begin(), gradients.end(), [](float value) { return !std::isfinite(value); });
  const uint64_t place = begin + static_cast<uint64_t>(bad - gradients.begin());
  // The last blob that begins at or before it.
  const auto after = std::find_if(layout.blobs().begin(), layout.blobs().end(),
                                  [place](const v1::ParameterBlob& blob) { return blob.offset() > place; });
  const v1::ParameterBlob& blob = *std::prev(after);
  return absl::StrCat("the gradient of layer \"", blob.layer(), "\", blob ", blob.index(), ", has ", *bad, " in it");
}

}  // namespace samovar
