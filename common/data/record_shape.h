// The shape of one record of a data set.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"

namespace samovar {

// Values lie planar: channel by channel, row by row.
struct RecordShape {
  int channels = 0;
  int height = 0;
  int width = 0;

  size_t elements() const { return static_cast<size_t>(channels) * height * width; }
  bool operator==(const RecordShape&) const = default;
};

// Largest number of values that a record may have.
inline constexpr size_t kMaxRecordElements = size_t{1} << 28;

// "3x32x32"
inline std::string ToString(const RecordShape& shape) {
  return absl::StrCat(shape.channels, "x", shape.height, "x", shape.width);
}

}  // namespace samovar
