#include "common/parameters/encoding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/base/vector_level.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr v1::Encoding kRounding[] = {v1::ENCODING_BFLOAT16, v1::ENCODING_FLOAT16, v1::ENCODING_INT8_BLOCKS};

std::vector<float> Values(size_t count, float scale, uint64_t seed = 1) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = scale * (2 * UnitFloat(Philox(seed, 3, i)[0]) - 1);
  return values;
}

std::vector<float> Through(v1::Encoding encoding, const std::vector<float>& values, uint64_t key = 5) {
  // Askew, and with a byte behind that must stay as it is.
  std::string bytes(EncodedBytes(encoding, values.size()) + 2, 'x');
  EncodeFloats(encoding, values, key, bytes.data() + 1);
  CHECK(bytes.front() == 'x');
  CHECK(bytes.back() == 'x');
  std::vector<float> decoded(values.size(), -1);
  DecodeFloats(encoding, bytes.data() + 1, decoded);
  return decoded;
}

// The distance between neighbours that the encoding can say, around a value of a block with that largest magnitude.
double Step(v1::Encoding encoding, float value, float largest) {
  const double magnitude = std::abs(value);
  if (encoding == v1::ENCODING_INT8_BLOCKS) return largest / 127.0;
  const int bits = encoding == v1::ENCODING_BFLOAT16 ? 7 : 10;
  const double step = std::exp2(std::floor(std::log2(std::max(magnitude, 1e-37))) - bits);
  return encoding == v1::ENCODING_FLOAT16 ? std::max(step, 0x1p-24) : step;
}

float Largest(const std::vector<float>& values, size_t i) {
  const size_t begin = i / kInt8Block * kInt8Block;
  float largest = 0;
  for (size_t j = begin; j < std::min<size_t>(values.size(), begin + kInt8Block); ++j)
    largest = std::max(largest, std::abs(values[j]));
  return largest;
}

TEST_CASE("a float takes as many bytes as the table says") {
  CHECK(EncodedBytes(v1::ENCODING_FLOAT32, 1000) == 4000);
  CHECK(EncodedBytes(v1::ENCODING_BFLOAT16, 1000) == 2000);
  CHECK(EncodedBytes(v1::ENCODING_FLOAT16, 1000) == 2000);
  CHECK(EncodedBytes(v1::ENCODING_INT8_BLOCKS, 1000) == 1000 + 4 * 4);
  CHECK(EncodedBytes(v1::ENCODING_INT8_BLOCKS, 0) == 0);
}

TEST_CASE("float32 arrives as it was sent") {
  const std::vector<float> values = Values(1001, 3);
  CHECK(Through(v1::ENCODING_FLOAT32, values) == values);
}

TEST_CASE("what arrives is one of the two neighbours of what was sent") {
  for (const v1::Encoding encoding : kRounding) {
    for (const float scale : {1e-6f, 1e-3f, 1.0f, 3e4f}) {
      const std::vector<float> values = Values(1000, scale);
      const std::vector<float> decoded = Through(encoding, values);
      for (size_t i = 0; i < values.size(); ++i) {
        const double step = Step(encoding, values[i], Largest(values, i));
        CHECK(std::abs(static_cast<double>(decoded[i]) - values[i]) < step * (1 + 1e-5));
      }
    }
  }
}

TEST_CASE("what an encoding can say arrives as it was sent") {
  for (int i = -64; i <= 64; ++i) {
    const float value = static_cast<float>(i) / 16;
    CHECK(Through(v1::ENCODING_BFLOAT16, {value})[0] == value);
    CHECK(Through(v1::ENCODING_FLOAT16, {value})[0] == value);
  }
  // The smallest and the largest of binary16, and a step of its smallest.
  for (const float value : {0x1p-24f, -0x1p-24f, 0x1p-14f, 5 * 0x1p-24f, 65504.0f, -65504.0f}) {
    CHECK(Through(v1::ENCODING_FLOAT16, {value})[0] == value);
  }
  CHECK(Through(v1::ENCODING_INT8_BLOCKS, {127, -127, 3, 0}) == std::vector<float>{127, -127, 3, 0});
}

TEST_CASE("on average what arrives is what was sent") {
  constexpr int kKeys = 4000;
  for (const v1::Encoding encoding : kRounding) {
    for (const float scale : {2e-6f, 1.0f}) {
      const std::vector<float> values = Values(35, scale, 7);
      std::vector<double> sums(values.size());
      for (uint64_t key = 0; key < kKeys; ++key) {
        const std::vector<float> decoded = Through(encoding, values, GradientKey(1, key, 0, 2));
        for (size_t i = 0; i < values.size(); ++i) sums[i] += decoded[i];
      }
      for (size_t i = 0; i < values.size(); ++i) {
        // Five standard errors of a coin that lands a step apart.
        const double bound = 5 * 0.5 * Step(encoding, values[i], Largest(values, i)) / std::sqrt(kKeys);
        CHECK(std::abs(sums[i] / kKeys - values[i]) < bound);
      }
    }
  }
}

// Every kind of float: of each exponent a few, NaN and infinity among them.
std::vector<float> AllKinds() {
  std::vector<float> values;
  for (uint32_t i = 0; i < 4111; ++i) {
    const uint32_t bits = Philox(3, 9, i)[0];
    values.push_back(std::bit_cast<float>((bits & 0x807FFFFFu) | (i % 256) << 23));
  }
  return values;
}

std::string Encoded(v1::Encoding encoding, const std::vector<float>& values, VectorLevel level) {
  SetVectorLevel(level);
  std::string bytes(EncodedBytes(encoding, values.size()), 'x');
  EncodeFloats(encoding, values, 77, bytes.data());
  SetVectorLevel(HighestVectorLevel());
  return bytes;
}

std::vector<float> Decoded(v1::Encoding encoding, const std::string& bytes, size_t floats, VectorLevel level) {
  SetVectorLevel(level);
  std::vector<float> values(floats);
  DecodeFloats(encoding, bytes.data(), values);
  SetVectorLevel(HighestVectorLevel());
  return values;
}

TEST_CASE("encoding and decoding give the same bits with and without AVX2") {
  for (const v1::Encoding encoding : kRounding) {
    for (const std::vector<float>& values : {AllKinds(), Values(4111, 1), Values(4111, 3e-6f), Values(100, 1)}) {
      const std::string bytes = Encoded(encoding, values, VectorLevel::kV2);
      CHECK(bytes == Encoded(encoding, values, HighestVectorLevel()));
      const std::vector<float> low = Decoded(encoding, bytes, values.size(), VectorLevel::kV2);
      const std::vector<float> high = Decoded(encoding, bytes, values.size(), HighestVectorLevel());
      CHECK(std::memcmp(low.data(), high.data(), low.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("each of binary16's values is decoded to what it stands for") {
  std::string bytes;
  for (uint32_t half = 0; half < 0x10000; ++half)
    bytes += {static_cast<char>(half & 0xFF), static_cast<char>(half >> 8)};
  for (const VectorLevel level : {VectorLevel::kV2, HighestVectorLevel()}) {
    const std::vector<float> values = Decoded(v1::ENCODING_FLOAT16, bytes, 0x10000, level);
    size_t wrong = 0;
    for (uint32_t half = 0; half < 0x10000; ++half) {
      const int exponent = static_cast<int>(half >> 10 & 31);
      const double mantissa = half & 0x3FF;
      const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      const float value = values[half];
      const bool right = exponent < 31   ? std::abs(static_cast<double>(value)) == magnitude
                         : mantissa == 0 ? std::isinf(value)
                                         : std::isnan(value);
      if (!right || std::signbit(value) != (half >= 0x8000)) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("rounding depends on the key and the place alone") {
  const std::vector<float> values = Values(700, 1);
  for (const v1::Encoding encoding : kRounding) {
    CHECK(Through(encoding, values, 9) == Through(encoding, values, 9));
    CHECK(Through(encoding, values, 9) != Through(encoding, values, 10));
    // Neighbours of the same value are not all rounded alike.
    std::vector<float> same(512, 0.3001f);
    same[0] = same[256] = 1;
    const std::vector<float> decoded = Through(encoding, same);
    CHECK(std::count(decoded.begin(), decoded.end(), decoded[1]) < 500);
  }
}

TEST_CASE("NaN arrives as NaN, and infinity as nothing finite") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const v1::Encoding encoding : kRounding) {
    for (const float special : {nan, -nan, infinity, -infinity}) {
      for (const size_t place : {size_t{0}, size_t{15}, size_t{16}, size_t{20}}) {
        std::vector<float> values(21, 0.5f);
        values[place] = special;
        CHECK_FALSE(std::isfinite(Through(encoding, values)[place]));
      }
    }
    CHECK(std::isnan(Through(encoding, {nan})[0]));
  }
}

TEST_CASE("the largest finite values stay finite") {
  const float most = std::numeric_limits<float>::max();
  for (uint64_t key = 0; key < 100; ++key) {
    CHECK(std::isfinite(Through(v1::ENCODING_BFLOAT16, {most, -most}, key)[0]));
    CHECK(Through(v1::ENCODING_FLOAT16, {most, -65520.0f}, key) == std::vector<float>{65504, -65504});
    CHECK(std::isfinite(Through(v1::ENCODING_INT8_BLOCKS, {most, -most}, key)[1]));
  }
}

TEST_CASE("blocks of next to nothing are nothing") {
  CHECK(Through(v1::ENCODING_INT8_BLOCKS, {0, 1e-38f, -1e-42f}) == std::vector<float>{0, 0, 0});
}

TEST_CASE("an encoding that this version does not know is told from those that it knows") {
  CHECK(IsEncoding(v1::ENCODING_INT8_BLOCKS));
  CHECK_FALSE(IsEncoding(5));
  CHECK_FALSE(IsEncoding(-1));
}

}  // namespace
}  // namespace samovar
