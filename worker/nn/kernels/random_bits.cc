#include "worker/nn/kernels/random_bits.h"

namespace samovar {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

}  // namespace

void RandomBits(uint64_t key, uint64_t counter_high, uint64_t counter_low, uint32_t* bits) {
  uint32_t c0[kRandomCounters], c1[kRandomCounters], c2[kRandomCounters], c3[kRandomCounters];
  for (int64_t i = 0; i < kRandomCounters; ++i) {
    const uint64_t low = counter_low + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(low);
    c1[i] = static_cast<uint32_t>(low >> 32);
    c2[i] = static_cast<uint32_t>(counter_high);
    c3[i] = static_cast<uint32_t>(counter_high >> 32);
  }
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round, k0 += kWeyl0, k1 += kWeyl1) {
    for (int64_t i = 0; i < kRandomCounters; ++i) {
      const uint64_t product0 = static_cast<uint64_t>(kMultiplier0) * c0[i];
      const uint64_t product1 = static_cast<uint64_t>(kMultiplier1) * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(product1);
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(product0);
    }
  }
  for (int64_t i = 0; i < kRandomCounters; ++i) {
    bits[4 * i] = c0[i];
    bits[4 * i + 1] = c1[i];
    bits[4 * i + 2] = c2[i];
    bits[4 * i + 3] = c3[i];
  }
}

}  // namespace samovar
