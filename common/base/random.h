// Counter-based random numbers: pure functions of a key and a counter, so that every process computes the
// same value.
//
// Generator: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// Thread safety: everything here is stateless.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

namespace samovar {

// The use of a stream of random numbers; part of every key, so that two uses never share numbers.
enum class RandomStream : uint64_t {
  kFiller = 1,
  kShuffle = 2,
  kDropout = 3,
  kTransform = 4,
  kRounding = 5,
  kBackoff = 6
};

// Four independent uniformly distributed 32-bit numbers.
std::array<uint32_t, 4> Philox(uint64_t key, uint64_t counter_high, uint64_t counter_low);

// One 64-bit key from several numbers (seed, stream, blob, ...). Different lists give, for all practical purposes,
// different keys.
uint64_t DeriveKey(RandomStream stream, std::initializer_list<uint64_t> parts);

// Maps 32 random bits to [0, 1): 24 bits of precision, never 1.
inline float UnitFloat(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1.0p-24f; }

// A bijection of {0, ..., size-1} chosen by the key, computed without a table: a four-round Feistel network over the
// next even number of bits, walked until it falls inside (Black and Rogaway: "Ciphers with arbitrary finite domains",
// 2002).
class Permutation {
 public:
  // REQUIRES: size >= 1
  Permutation(uint64_t size, uint64_t key);

  // REQUIRES: index < size. Takes four Philox calls on average at most four times over.
  uint64_t operator()(uint64_t index) const;

 private:
  uint64_t Encrypt(uint64_t value) const;

  const uint64_t size_;
  const uint64_t key_;
  int half_bits_;
  uint64_t half_mask_;
};

}  // namespace samovar
