#include "common/base/random.h"

#include <bit>

#include "common/base/philox.h"

namespace samovar {
namespace {

constexpr int kFeistelRounds = 4;

// SplitMix64's finaliser.
uint64_t Mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

}  // namespace

std::array<uint32_t, 4> Philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  uint32_t c0 = static_cast<uint32_t>(counter_low);
  uint32_t c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high);
  uint32_t c3 = static_cast<uint32_t>(counter_high >> 32);
  RunPhilox<1>(key, &c0, &c1, &c2, &c3);
  return {c0, c1, c2, c3};
}

uint64_t DeriveKey(RandomStream stream, std::initializer_list<uint64_t> parts) {
  uint64_t key = Mix(static_cast<uint64_t>(stream));
  // The odd factor tells a part from those before it: a plain sum or XOR of the two would not know which was first.
  for (uint64_t part : parts) key = Mix(key * 0xD1342543DE82EF95 + Mix(part));
  return key;
}

Permutation::Permutation(uint64_t size, uint64_t key) : size_(size), key_(key) {
  const int bits = size > 1 ? std::bit_width(size - 1) : 1;
  half_bits_ = (bits + 1) / 2;
  half_mask_ = (uint64_t{1} << half_bits_) - 1;
}

uint64_t Permutation::operator()(uint64_t index) const {
  // The domain is less than four times the size, so the walk takes four steps on average at most.
  do {
    index = Encrypt(index);
  } while (index >= size_);
  return index;
}

uint64_t Permutation::Encrypt(uint64_t value) const {
  uint64_t left = value >> half_bits_;
  uint64_t right = value & half_mask_;
  for (int round = 0; round < kFeistelRounds; ++round) {
    const uint64_t mixed = Philox(key_, static_cast<uint64_t>(round), right)[0];
    const uint64_t next = left ^ (mixed & half_mask_);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

}  // namespace samovar
