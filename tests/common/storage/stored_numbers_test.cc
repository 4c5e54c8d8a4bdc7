#include <cstdint>
#include <limits>
#include <string>

#include "common/storage/big_endian.h"
#include "common/storage/checksum.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

template <typename Number>
std::string BytesOf(Number number) {
  std::string bytes;
  AppendBigEndian(number, &bytes);
  return bytes;
}

TEST_CASE("numbers in keys stand highest byte first, and come back") {
  CHECK(BytesOf(uint64_t{0x0102030405060708}) == std::string("\1\2\3\4\5\6\7\10", 8));
  CHECK(BytesOf(uint32_t{0x80000001}) == std::string("\x80\0\0\1", 4));
  for (const uint64_t number : {uint64_t{0}, uint64_t{255}, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    CHECK(BigEndianIn(BytesOf(number)) == number);
  }
}

TEST_CASE("keys are in the order of their numbers") {
  CHECK(BytesOf(uint64_t{255}) < BytesOf(uint64_t{256}));
  CHECK(BytesOf(uint64_t{127}) < BytesOf(uint64_t{128}));
  CHECK(BytesOf((uint64_t{1} << 32) - 1) < BytesOf(uint64_t{1} << 32));
}

TEST_CASE("a checksum is zlib's, at once or piece by piece") {
  // The check value of CRC-32/ISO-HDLC.
  CHECK(Crc32("123456789") == 0xcbf43926);
  CHECK(Crc32("") == 0);
  CHECK(ExtendCrc32(ExtendCrc32(0, "1234"), "56789") == 0xcbf43926);
}

}  // namespace
}  // namespace samovar
