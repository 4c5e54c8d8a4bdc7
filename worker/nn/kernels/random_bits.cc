#include "worker/nn/kernels/random_bits.h"

#include "common/base/philox.h"

namespace samovar {

void RandomBits(uint64_t key, uint64_t counter_high, uint64_t counter_low, uint32_t* bits) {
  uint32_t c0[kRandomCounters], c1[kRandomCounters], c2[kRandomCounters], c3[kRandomCounters];
  for (int64_t i = 0; i < kRandomCounters; ++i) {
    const uint64_t low = counter_low + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(low);
    c1[i] = static_cast<uint32_t>(low >> 32);
    c2[i] = static_cast<uint32_t>(counter_high);
    c3[i] = static_cast<uint32_t>(counter_high >> 32);
  }
  RunPhilox<kRandomCounters>(key, c0, c1, c2, c3);
  for (int64_t i = 0; i < kRandomCounters; ++i) {
    bits[4 * i] = c0[i];
    bits[4 * i + 1] = c1[i];
    bits[4 * i + 2] = c2[i];
    bits[4 * i + 3] = c3[i];
  }
}

}  // namespace samovar
