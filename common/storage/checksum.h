// CRC-32 as zlib has it: the checksum of everything that is stored.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace samovar {

uint32_t Crc32(absl::string_view bytes);

// The checksum of what `crc` is that of, 0 for nothing, and these bytes behind it.
uint32_t ExtendCrc32(uint32_t crc, absl::string_view bytes);

}  // namespace samovar
