// ENCODING_SPARSE's payload: floats that are mostly zero.
//
//     bytes                content
//     4                    how many floats are listed, little-endian
//     1 to 3 for each      its place, as a varint: how far beyond the one before, less one; of the first, the place
//                          itself
//     4 for each           its value, binary32, little-endian
//
// With one float in a hundred that is about 5 bytes for each listed. Thread safety: stateless.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace samovar {

// Replaces *payload. REQUIRES: places ascend and lie within `values`.
void EncodeSparse(std::span<const float> values, std::span<const uint32_t> places, std::vector<char>* payload);

// Sets all of `values`. INVALID_ARGUMENT, saying what is wrong, if the payload is not one of as many floats; they hold
// a mixture then. Values are not looked at: NaN is for the receiver to find.
absl::Status DecodeSparse(std::span<const char> payload, std::span<float> values);

}  // namespace samovar
