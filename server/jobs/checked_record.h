// CheckedRecord: a message as the job tables store it, behind its CRC-32 (as in zlib; 4 bytes, little-endian).
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/storage/checksum.h"

namespace samovar {

template <typename Message>
std::string ToCheckedRecord(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  std::string record;
  for (int shift = 0; shift < 32; shift += 8) record.push_back(static_cast<char>(Crc32(bytes) >> shift));
  return record + bytes;
}

// Whether the record is one that ToCheckedRecord made.
template <typename Message>
bool FromCheckedRecord(absl::string_view record, Message* message) {
  if (record.size() < 4) return false;
  uint32_t crc = 0;
  for (int i = 3; i >= 0; --i) crc = crc << 8 | static_cast<unsigned char>(record[static_cast<size_t>(i)]);
  record.remove_prefix(4);
  return Crc32(record) == crc && message->ParseFromArray(record.data(), static_cast<int>(record.size()));
}

}  // namespace samovar
