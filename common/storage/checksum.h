// CRC-32 as zlib has it: the checksum of everything that is stored.
//
// Thread safety: functions may be called from any thread.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace samovar {

uint32_t Crc32(absl::string_view bytes);

// The checksum of the bytes that have the checksum `crc` (0: no bytes), with these bytes behind them.
uint32_t ExtendCrc32(uint32_t crc, absl::string_view bytes);

}  // namespace samovar
