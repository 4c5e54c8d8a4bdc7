// Copies of rows of planes, which are short.
#pragma once

#include <cstdint>
#include <cstring>

namespace samovar {

// Copies of a fixed size are inlined, where std::memcpy of n floats is a call.
inline void CopyRow(const float* from, float* to, int64_t n) {
  constexpr int64_t kStep = 8;
  if (n < kStep) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    return;
  }
  for (int64_t i = 0; i + kStep <= n; i += kStep) std::memcpy(to + i, from + i, kStep * sizeof(float));
  // The last step overlaps the one before.
  std::memcpy(to + n - kStep, from + n - kStep, kStep * sizeof(float));
}

}  // namespace samovar
