// Values of a BlobProto, which holds them as floats or as doubles.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <span>

#include "caffe.pb.h"

namespace samovar {

inline uint64_t CountValues(const caffe::BlobProto& blob) {
  return static_cast<uint64_t>(blob.double_data_size() > 0 ? blob.double_data_size() : blob.data_size());
}

// Writes the values [begin, begin + out.size()). REQUIRES: the blob holds them.
inline void CopyValues(const caffe::BlobProto& blob, uint64_t begin, std::span<float> out) {
  if (blob.double_data_size() > 0) {
    std::transform(blob.double_data().begin() + begin, blob.double_data().begin() + begin + out.size(), out.begin(),
                   [](double value) { return static_cast<float>(value); });
  } else {
    std::copy_n(blob.data().begin() + begin, out.size(), out.begin());
  }
}

// Whether each value is a finite float.
inline bool ValuesAreFinite(const caffe::BlobProto& blob) {
  // An exponent of all ones is NaN or infinity.
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t found = 0;
  for (float value : blob.data())
    found |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  constexpr double kLargest = std::numeric_limits<float>::max();
  for (double value : blob.double_data()) found |= static_cast<uint32_t>(!(value >= -kLargest && value <= kLargest));
  return found == 0;
}

}  // namespace samovar
