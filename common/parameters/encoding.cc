#include "common/parameters/encoding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "common/base/random.h"

namespace samovar {
namespace {

static_assert(std::endian::native == std::endian::little, "encoded floats are little-endian");

constexpr std::pair<v1::Encoding, const char*> kNames[] = {{v1::ENCODING_FLOAT32, "float32"},
                                                           {v1::ENCODING_BFLOAT16, "bfloat16"},
                                                           {v1::ENCODING_FLOAT16, "float16"},
                                                           {v1::ENCODING_INT8_BLOCKS, "int8"}};

// Values are encoded in groups whose halves share random numbers: 16 bits each. The loops over a half have no branches, so the
// compiler makes vectors of them.
constexpr size_t kHalf = 8;
constexpr size_t kGroup = 2 * kHalf;
static_assert(kInt8Block % kGroup == 0);

constexpr uint32_t kInfinity = 0x7F800000;

// 32 random bits from a place: an integer hash of two multiplications whose every output bit depends on every input bit, with the
// key's halves before and within.
inline uint32_t RandomBits(uint64_t key, uint32_t place) {
  uint32_t x = place + static_cast<uint32_t>(key);
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= (x >> 15) ^ static_cast<uint32_t>(key >> 32);
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

// `random` is below 2^16 in all of these.

inline uint16_t ToBfloat16(float value, uint32_t random) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits & 0x80000000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  // The largest finite value is not rounded up to infinity.
  const uint32_t rounded = std::min(magnitude + random, 0x7F7FFFFFu);
  const uint32_t special = magnitude > kInfinity ? 0x7FC00000u : kInfinity;
  return static_cast<uint16_t>((sign | (magnitude >= kInfinity ? special : rounded)) >> 16);
}

inline float FromBfloat16(uint16_t half) { return std::bit_cast<float>(static_cast<uint32_t>(half) << 16); }

inline uint16_t ToFloat16(float value, uint32_t random) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  // From 2^-14 on: 13 bits of the mantissa are dropped, and the exponent's bias is 15 in place of 127.
  const uint32_t normal = ((magnitude + (random >> 3)) >> 13) - (112u << 10);
  // Below: multiples of 2^-24.
  const float steps = std::bit_cast<float>(std::min(magnitude, 0x38800000u)) * 0x1p24f;
  const uint32_t subnormal = static_cast<uint32_t>(static_cast<int32_t>(steps + (static_cast<float>(random) + 0.5f) * 0x1p-16f));
  const uint32_t finite = magnitude < 0x38800000u ? subnormal : std::min(normal, 0x7BFFu);
  const uint32_t special = magnitude > kInfinity ? 0x7E00u : 0x7C00u;
  const uint32_t half = magnitude >= kInfinity ? special : magnitude >= 0x47800000u ? 0x7BFFu : finite;
  return static_cast<uint16_t>((bits >> 16 & 0x8000u) | half);
}

inline float FromFloat16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  const uint32_t normal = (magnitude << 13) + (112u << 23);
  const uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t special = (magnitude << 13) | kInfinity;
  return std::bit_cast<float>(sign | (magnitude >= 0x7C00u ? special : magnitude < 0x400u ? subnormal : normal));
}

// Both halves of a group.
template <typename Encode>
void EncodeGroup(const float* __restrict values, uint64_t key, uint32_t place, Encode encode) {
  for (size_t i = 0; i < kHalf; ++i) {
    const uint32_t random = RandomBits(key, place + static_cast<uint32_t>(i));
    encode(i, values[i], random & 0xFFFFu);
    encode(i + kHalf, values[i + kHalf], random >> 16);
  }
}

// Calls group(values, place, count) for each group; the last one, if it is not whole, is filled up with zeros.
template <typename Group>
void ForGroups(std::span<const float> values, Group group) {
  size_t i = 0;
  for (; i + kGroup <= values.size(); i += kGroup) group(values.data() + i, i, kGroup);
  if (i == values.size()) return;
  float rest[kGroup] = {};
  std::copy(values.begin() + static_cast<ptrdiff_t>(i), values.end(), rest);
  group(rest, i, values.size() - i);
}

template <uint16_t (*kEncode)(float, uint32_t)>
void EncodeHalves(std::span<const float> values, uint64_t key, char* to) {
  ForGroups(values, [&](const float* group, size_t place, size_t count) {
    uint16_t halves[kGroup];
    EncodeGroup(group, key, static_cast<uint32_t>(place / 2), [&](size_t i, float value, uint32_t random) { halves[i] = kEncode(value, random); });
    std::memcpy(to + place * sizeof(uint16_t), halves, count * sizeof(uint16_t));
  });
}

template <float (*kDecode)(uint16_t)>
void DecodeHalves(const char* __restrict from, std::span<float> values) {
  float* __restrict to = values.data();
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, from + i * sizeof(half), sizeof(half));
    to[i] = kDecode(half);
  }
}

// What one step of the block's integers is worth: a 127th of its largest magnitude. NaN if a value is not finite, 0 if all are
// next to nothing.
float ScaleOf(std::span<const float> block) {
  // As integers, magnitudes of floats have the order of the floats, and NaN is above all.
  uint32_t largest = 0;
  for (float value : block) largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu);
  if (largest >= kInfinity) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = std::bit_cast<float>(largest);
  // Nor is 127 times the scale to be infinite.
  return magnitude < 1e-30f ? 0 : std::min(magnitude, 3.4e38f) / 127;
}

void EncodeInt8Blocks(std::span<const float> values, uint64_t key, char* to) {
  for (size_t begin = 0; begin < values.size(); begin += kInt8Block) {
    const std::span<const float> block = values.subspan(begin, std::min<size_t>(kInt8Block, values.size() - begin));
    const float scale = ScaleOf(block);
    std::memcpy(to, &scale, sizeof(scale));
    to += sizeof(scale);
    const float steps = scale > 0 ? 1 / scale : 0;
    ForGroups(block, [&](const float* group, size_t place, size_t count) {
      int8_t bytes[kGroup];
      EncodeGroup(group, key, static_cast<uint32_t>((begin + place) / 2), [&](size_t i, float value, uint32_t random) {
        // Above 0, so that the conversion, which cuts off, rounds down. NaN becomes -127, by the order of the arguments: the
        // scale says it.
        const float up = (static_cast<float>(random) + 0.5f) * 0x1p-16f + 128;
        const float shifted = std::min(127.0f, std::max(-127.0f, value * steps)) + up;
        bytes[i] = static_cast<int8_t>(std::min(static_cast<int32_t>(shifted) - 128, 127));
      });
      std::memcpy(to + place, bytes, count);
    });
    to += block.size();
  }
}

void DecodeInt8Blocks(const char* from, std::span<float> values) {
  for (size_t begin = 0; begin < values.size(); begin += kInt8Block) {
    const std::span<float> block = values.subspan(begin, std::min<size_t>(kInt8Block, values.size() - begin));
    float scale = 0;
    std::memcpy(&scale, from, sizeof(scale));
    from += sizeof(scale);
    const int8_t* __restrict bytes = reinterpret_cast<const int8_t*>(from);
    float* __restrict to = block.data();
    for (size_t i = 0; i < block.size(); ++i) to[i] = static_cast<float>(bytes[i]) * scale;
    from += block.size();
  }
}

}  // namespace

bool IsEncoding(int encoding) {
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const auto& name) { return name.first == encoding; });
}

uint64_t EncodedBytes(v1::Encoding encoding, uint64_t floats) {
  switch (encoding) {
    case v1::ENCODING_BFLOAT16:
    case v1::ENCODING_FLOAT16:
      return 2 * floats;
    case v1::ENCODING_INT8_BLOCKS:
      return floats + (floats + kInt8Block - 1) / kInt8Block * sizeof(float);
    default:
      return sizeof(float) * floats;
  }
}

void EncodeFloats(v1::Encoding encoding, std::span<const float> values, uint64_t key, char* to) {
  switch (encoding) {
    case v1::ENCODING_BFLOAT16:
      return EncodeHalves<ToBfloat16>(values, key, to);
    case v1::ENCODING_FLOAT16:
      return EncodeHalves<ToFloat16>(values, key, to);
    case v1::ENCODING_INT8_BLOCKS:
      return EncodeInt8Blocks(values, key, to);
    default:
      if (!values.empty()) std::memcpy(to, values.data(), values.size_bytes());
  }
}

void DecodeFloats(v1::Encoding encoding, const char* from, std::span<float> values) {
  switch (encoding) {
    case v1::ENCODING_BFLOAT16:
      return DecodeHalves<FromBfloat16>(from, values);
    case v1::ENCODING_FLOAT16:
      return DecodeHalves<FromFloat16>(from, values);
    case v1::ENCODING_INT8_BLOCKS:
      return DecodeInt8Blocks(from, values);
    default:
      if (!values.empty()) std::memcpy(values.data(), from, values.size_bytes());
  }
}

uint64_t GradientKey(uint64_t seed, uint64_t iteration, uint32_t part, uint32_t chunk) {
  return DeriveKey(RandomStream::kRounding, {seed, 0, iteration, part, chunk});
}

uint64_t WeightsKey(uint64_t seed, uint64_t version, uint32_t chunk) {
  return DeriveKey(RandomStream::kRounding, {seed, 1, version, chunk});
}

std::vector<std::string> EncodingNames() {
  std::vector<std::string> names;
  for (const auto& [encoding, name] : kNames) names.push_back(name);
  return names;
}

std::string EncodingName(v1::Encoding encoding) {
  for (const auto& [known, name] : kNames) {
    if (known == encoding) return name;
  }
  return "";
}

v1::Encoding EncodingOf(absl::string_view name) {
  for (const auto& [encoding, known] : kNames) {
    if (known == name) return encoding;
  }
  return v1::ENCODING_FLOAT32;
}

}  // namespace samovar
