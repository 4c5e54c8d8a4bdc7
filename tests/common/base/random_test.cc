#include "common/base/random.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Words = std::array<uint32_t, 4>;

uint64_t Join(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }

// Of one bit that is 1 half of the time: how far `ones` of `draws` is from half, in standard deviations.
double Deviations(uint64_t ones, uint64_t draws) {
  const double n = static_cast<double>(draws);
  return std::abs(static_cast<double>(ones) - n / 2) / std::sqrt(n / 4);
}

TEST_CASE("Philox gives the numbers that its authors published") {
  // Known answers of Philox4x32-10 from Random123's kat_vectors: counter words c0..c3, key words k0 k1.
  CHECK(Philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox(Join(0xffffffff, 0xffffffff), Join(0xffffffff, 0xffffffff), Join(0xffffffff, 0xffffffff)) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox(Join(0x299f31d0, 0xa4093822), Join(0x03707344, 0x13198a2e), Join(0x85a308d3, 0x243f6a88)) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Philox changes with each of its three arguments") {
  const std::set<Words> drawn = {Philox(1, 2, 3),         Philox(2, 2, 3),          Philox(1, 3, 3),
                                 Philox(1, 2, 4),         Philox(1ull << 40, 2, 3), Philox(1, 2ull << 40, 3),
                                 Philox(1, 2, 3ull << 40)};
  CHECK(drawn.size() == 7);
}

TEST_CASE("each bit of Philox is 1 half of the time") {
  constexpr uint64_t kDraws = 4096;
  std::array<uint64_t, 128> ones = {};
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const Words words = Philox(17, 0, draw);
    for (size_t bit = 0; bit < ones.size(); ++bit) ones[bit] += words[bit / 32] >> (bit % 32) & 1;
  }
  // The numbers are fixed, so this cannot fail by chance; 5 leaves room for the largest of 128.
  for (const uint64_t count : ones) CHECK(Deviations(count, kDraws) < 5);
}

TEST_CASE("keys differ by the stream, and by value, number and order of the parts") {
  const std::set<uint64_t> keys = {DeriveKey(RandomStream::kFiller, {}),      DeriveKey(RandomStream::kFiller, {0}),
                                   DeriveKey(RandomStream::kFiller, {0, 0}),  DeriveKey(RandomStream::kFiller, {1}),
                                   DeriveKey(RandomStream::kFiller, {1, 2}),  DeriveKey(RandomStream::kFiller, {2, 1}),
                                   DeriveKey(RandomStream::kShuffle, {1, 2}), DeriveKey(RandomStream::kShuffle, {0})};
  CHECK(keys.size() == 8);
  CHECK(DeriveKey(RandomStream::kShuffle, {7, 8}) == DeriveKey(RandomStream::kShuffle, {7, 8}));
}

TEST_CASE("a stream and a part of the same numbers, exchanged, give different keys") {
  CHECK(DeriveKey(RandomStream::kFiller, {2, 9}) != DeriveKey(RandomStream::kShuffle, {1, 9}));
  CHECK(DeriveKey(RandomStream::kFiller, {1, 9}) != DeriveKey(RandomStream::kShuffle, {2, 9}));
}

TEST_CASE("neighbouring parts give unrelated keys") {
  constexpr uint64_t kPairs = 4096;
  uint64_t ones = 0;
  for (uint64_t part = 0; part < kPairs; ++part) {
    const uint64_t difference =
        DeriveKey(RandomStream::kDropout, {5, part}) ^ DeriveKey(RandomStream::kDropout, {5, part + 1});
    ones += static_cast<uint64_t>(__builtin_popcountll(difference));
  }
  CHECK(Deviations(ones, kPairs * 64) < 5);
}

TEST_CASE("UnitFloat begins at 0 and never gives 1") {
  CHECK(UnitFloat(0) == 0.0f);
  CHECK(UnitFloat(0x80000000) == 0.5f);
  CHECK(UnitFloat(0xffffffff) < 1.0f);
  CHECK(UnitFloat(0xffffffff) == 1.0f - 0x1.0p-24f);
}

TEST_CASE("a permutation takes each value exactly once") {
  const uint64_t size = GENERATE(1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4096, 4097, 60000);
  const uint64_t key = GENERATE(0, 1, 0x123456789abcdef);
  const Permutation permutation(size, key);
  std::vector<bool> taken(size);
  for (uint64_t index = 0; index < size; ++index) {
    const uint64_t value = permutation(index);
    REQUIRE(value < size);
    REQUIRE_FALSE(taken[value]);
    taken[value] = true;
  }
}

TEST_CASE("a permutation of a range too large for a table stays inside it") {
  const uint64_t size = (uint64_t{1} << 40) + 12345;
  const Permutation permutation(size, 9);
  std::set<uint64_t> values;
  for (uint64_t index = size - 1000; index < size; ++index) {
    const uint64_t value = permutation(index);
    CHECK(value < size);
    values.insert(value);
  }
  CHECK(values.size() == 1000);
}

TEST_CASE("permutations by different keys are different orders") {
  constexpr uint64_t kSize = 10000;
  const Permutation first(kSize, 1), second(kSize, 2);
  uint64_t same = 0, in_place = 0;
  for (uint64_t index = 0; index < kSize; ++index) {
    same += first(index) == second(index) ? 1 : 0;
    in_place += first(index) == index ? 1 : 0;
  }
  // One is expected of either.
  CHECK(same < 10);
  CHECK(in_place < 10);
}

TEST_CASE("a permutation mixes its range's two ends") {
  constexpr uint64_t kSize = 10000;
  const Permutation permutation(kSize, 3);
  uint64_t upper = 0;
  for (uint64_t index = 0; index < kSize / 2; ++index) upper += permutation(index) >= kSize / 2 ? 1 : 0;
  CHECK(Deviations(upper, kSize / 2) < 5);
}

}  // namespace
}  // namespace samovar
