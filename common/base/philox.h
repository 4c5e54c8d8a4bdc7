// The rounds of Philox4x32-10 (random.h) for several counters at once, in loops that a compiler makes vectors of.
#pragma once

#include <cstdint>

namespace samovar {

// In: the four words of each counter. Out: its four numbers. The arrays have kCounters entries each.
template <int64_t kCounters>
inline void RunPhilox(uint64_t key, uint32_t* c0, uint32_t* c1, uint32_t* c2, uint32_t* c3) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  constexpr int kRounds = 10;
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round, k0 += kWeyl0, k1 += kWeyl1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < kCounters; ++i) {
      const uint64_t product0 = kMultiplier0 * c0[i];
      const uint64_t product1 = kMultiplier1 * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(product1);
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(product0);
    }
  }
}

}  // namespace samovar
