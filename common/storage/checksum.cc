#include "common/storage/checksum.h"

#include <zlib.h>

namespace samovar {

uint32_t Crc32(absl::string_view bytes) { return ExtendCrc32(0, bytes); }

uint32_t ExtendCrc32(uint32_t crc, absl::string_view bytes) {
  return static_cast<uint32_t>(crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace samovar
