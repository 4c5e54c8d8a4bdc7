// Small PNG images and lists of them for tests.
#pragma once

#include <string>

#include "common/import/image_encoder.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/status_matchers.h"

namespace samovar {

// Value i of the planes (blue, green, red) is (first + i) mod 256.
inline std::string PngOf(const RecordShape& shape, int first) {
  const auto png = EncodeImage({shape, MakeDatum(shape, 0, first).data()}, ImageFormat::kPng);
  REQUIRE_OK(png);
  return *png;
}

// first, first + 1, ... mod 256, as floats.
inline std::vector<float> CountingBytes(size_t count, int first) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) values.push_back(static_cast<float>((static_cast<size_t>(first) + i) % 256));
  return values;
}

}  // namespace samovar
