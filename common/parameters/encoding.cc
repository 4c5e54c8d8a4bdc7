#include "common/parameters/encoding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "common/base/random.h"
#include "common/base/vector_level.h"

namespace samovar {
namespace {

static_assert(std::endian::native == std::endian::little, "encoded floats are little-endian");

// Values are encoded in blocks whose halves share random numbers: 16 bits each. The loops over them have no branches,
// so the compiler makes vectors of them.
constexpr size_t kBlock = kInt8Block;
constexpr size_t kHalf = kBlock / 2;

// The magnitudes of floats as integers, which have their order; compared as signed ones, which takes one instruction.
constexpr int32_t kInfinity = 0x7F800000;
constexpr int32_t kLargest = 0x7F7FFFFF;

// 32 random bits from a place: an integer hash of two multiplications whose every output bit depends on every input
// bit, with the key's halves before and within.
inline uint32_t RandomBits(uint64_t key, uint32_t place) {
  uint32_t x = place + static_cast<uint32_t>(key);
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= (x >> 15) ^ static_cast<uint32_t>(key >> 32);
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

inline int32_t BitsOf(float value) { return std::bit_cast<int32_t>(value); }
inline int32_t MagnitudeOf(float value) { return BitsOf(value) & 0x7FFFFFFF; }

// A choice without a branch even where one of the two takes arithmetic with floats, which compilers do not do in vain
// otherwise.
inline int32_t Select(bool condition, int32_t then, int32_t otherwise) {
  const int32_t mask = -static_cast<int32_t>(condition);
  return (then & mask) | (otherwise & ~mask);
}

// `random` is below 2^16 in all of these.

inline uint16_t ToBfloat16(float value, int32_t random) {
  const int32_t magnitude = MagnitudeOf(value);
  // In 31 bits, since the sum may not overflow. The largest finite value is not rounded up to infinity.
  const int32_t rounded = std::min(std::min(magnitude, kLargest) + random, kLargest);
  const int32_t special = magnitude | (Select(magnitude > kInfinity, 0x400000, 0));
  const int32_t result = Select(magnitude >= kInfinity, special, rounded);
  return static_cast<uint16_t>(static_cast<uint32_t>(result | (BitsOf(value) & INT32_MIN)) >> 16);
}

inline float FromBfloat16(uint16_t half) { return std::bit_cast<float>(static_cast<uint32_t>(half) << 16); }

inline uint16_t ToFloat16(float value, int32_t random) {
  const int32_t magnitude = MagnitudeOf(value);
  // From 2^-14 on 13 bits of the mantissa are dropped, and the exponent's bias is 15 in place of 127. Below, binary16
  // has steps of 2^-24: those that the same 13 bits are cut into once 2^-14 is added.
  constexpr int32_t kNormal = 0x38800000;
  const bool subnormal = magnitude < kNormal;
  const int32_t cut =
      Select(subnormal, BitsOf(std::bit_cast<float>(magnitude) + 0x1p-14f), std::min(magnitude, kLargest));
  const int32_t rounded = ((cut + (random >> 3)) >> 13) - Select(subnormal, 113 << 10, 112 << 10);
  const int32_t special = 0x7C00 | Select(magnitude > kInfinity, 0x200, 0);
  const int32_t result = Select(magnitude >= kInfinity, special, std::min(rounded, 0x7BFF));
  return static_cast<uint16_t>((BitsOf(value) >> 16 & 0x8000) | result);
}

inline float FromFloat16(uint16_t half) {
  const int32_t sign = static_cast<int32_t>(static_cast<uint32_t>(half) << 16) & INT32_MIN;
  const int32_t magnitude = half & 0x7FFF;
  const int32_t normal = (magnitude << 13) + (112 << 23);
  const int32_t subnormal = BitsOf(std::bit_cast<float>((magnitude << 13) + (113 << 23)) - 0x1p-14f);
  const int32_t special = (magnitude << 13) | kInfinity;
  return std::bit_cast<float>(sign |
                              Select(magnitude >= 0x7C00, special, Select(magnitude < 0x400, subnormal, normal)));
}

// Encodes kBlock values, from that at `place` on, with code(value, random), which returns a Code.
template <typename Code, typename Encode>
void EncodeBlock(const float* __restrict values, uint64_t key, size_t place, char* __restrict to, Encode code) {
  const uint32_t first = static_cast<uint32_t>(place / 2);
  for (uint32_t i = 0; i < kHalf; ++i) {
    const uint32_t random = RandomBits(key, first + i);
    const Code low = code(values[i], static_cast<int32_t>(random & 0xFFFFu));
    const Code high = code(values[i + kHalf], static_cast<int32_t>(random >> 16));
    std::memcpy(to + i * sizeof(Code), &low, sizeof(Code));
    std::memcpy(to + (i + kHalf) * sizeof(Code), &high, sizeof(Code));
  }
}

// A last block that is not whole is filled up with zeros.
template <typename Code, typename Encode>
void EncodeLastBlock(const float* values, size_t count, uint64_t key, size_t place, char* to, Encode code) {
  float filled[kBlock] = {};
  std::copy(values, values + count, filled);
  char codes[kBlock * sizeof(Code)];
  EncodeBlock<Code>(filled, key, place, codes, code);
  std::memcpy(to, codes, count * sizeof(Code));
}

template <uint16_t (*kEncode)(float, int32_t)>
void EncodeHalves(std::span<const float> values, uint64_t key, char* to) {
  AtVectorLevel([=] {
    const auto code = [](float value, int32_t random) { return kEncode(value, random); };
    size_t i = 0;
    for (; i + kBlock <= values.size(); i += kBlock) {
      EncodeBlock<uint16_t>(values.data() + i, key, i, to + i * sizeof(uint16_t), code);
    }
    EncodeLastBlock<uint16_t>(values.data() + i, values.size() - i, key, i, to + i * sizeof(uint16_t), code);
  });
}

template <float (*kDecode)(uint16_t)>
void DecodeHalves(const char* from, std::span<float> values) {
  AtVectorLevel([=] {
    const char* __restrict source = from;
    float* __restrict to = values.data();
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, source + i * sizeof(half), sizeof(half));
      to[i] = kDecode(half);
    }
  });
}

// The value of one step of the block's integers: a 127th of its largest magnitude. NaN if a value is not finite, 0 if
// all are next to nothing.
float ScaleOf(const float* values, size_t count) {
  // As integers, magnitudes of floats have the order of the floats, and NaN is above all.
  int32_t largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, MagnitudeOf(values[i]));
  if (largest >= kInfinity) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = std::bit_cast<float>(largest);
  // Nor is 127 times the scale to be infinite.
  return magnitude < 1e-30f ? 0 : std::min(magnitude, 3.4e38f) / 127;
}

// `fractions`: the factor that makes 2^15ths of a step of a value, fewer than 2^22. NaN becomes any integer: the scale
// tells that it was NaN.
inline int8_t ToInt8(float value, float fractions, int32_t random) {
  // Next to 1.5 * 2^23 floats are the integers, and their last bits count them.
  const uint32_t counted = std::bit_cast<uint32_t>(value * fractions + 0x1.8p23f) - std::bit_cast<uint32_t>(0x1.8p23f);
  const int32_t rounded = static_cast<int32_t>(counted + static_cast<uint32_t>(random >> 1)) >> 15;
  return static_cast<int8_t>(std::min(std::max(rounded, -127), 127));
}

void EncodeInt8Blocks(std::span<const float> values, uint64_t key, char* to) {
  AtVectorLevel([=] {
    char* next = to;
    for (size_t i = 0; i < values.size(); i += kBlock) {
      const size_t count = std::min(kBlock, values.size() - i);
      const float scale = ScaleOf(values.data() + i, count);
      std::memcpy(next, &scale, sizeof(scale));
      next += sizeof(scale);
      const float fractions = scale > 0 ? 0x1p15f / scale : 0;
      const auto code = [fractions](float value, int32_t random) { return ToInt8(value, fractions, random); };
      if (count == kBlock) {
        EncodeBlock<int8_t>(values.data() + i, key, i, next, code);
      } else {
        EncodeLastBlock<int8_t>(values.data() + i, count, key, i, next, code);
      }
      next += count;
    }
  });
}

void DecodeInt8Blocks(const char* from, std::span<float> values) {
  AtVectorLevel([=] {
    const char* next = from;
    for (size_t begin = 0; begin < values.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, values.size() - begin);
      float scale = 0;
      std::memcpy(&scale, next, sizeof(scale));
      const int8_t* __restrict bytes = reinterpret_cast<const int8_t*>(next + sizeof(scale));
      float* __restrict to = values.data() + begin;
      for (size_t i = 0; i < count; ++i) to[i] = static_cast<float>(bytes[i]) * scale;
      next += sizeof(scale) + count;
    }
  });
}

}  // namespace

bool IsEncoding(int encoding) { return v1::Encoding_IsValid(encoding); }

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

}  // namespace samovar
