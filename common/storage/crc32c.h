// CRC-32C (Castagnoli), the checksum of TensorFlow's records; our own files have checksum.h's.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace samovar {

uint32_t Crc32c(absl::string_view bytes);

}  // namespace samovar
