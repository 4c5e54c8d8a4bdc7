// Numbers with their highest byte first: in the keys of an LMDB, so that the order of keys is the order of numbers.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace samovar {

// Appends the number in as many bytes as its type has. REQUIRES: an unsigned type
template <typename Number>
void AppendBigEndian(Number number, std::string* bytes) {
  static_assert(Number(-1) > 0, "keys have no order for negative numbers");
  for (int shift = 8 * (static_cast<int>(sizeof(Number)) - 1); shift >= 0; shift -= 8) {
    bytes->push_back(static_cast<char>(number >> shift));
  }
}

// The number that all of the bytes are. REQUIRES: 8 bytes at most
inline uint64_t BigEndianIn(absl::string_view bytes) {
  uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace samovar
