#include "common/base/vector_level.h"

#include <atomic>

namespace samovar {
namespace {

VectorLevel Detect() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") ? VectorLevel::kV3 : VectorLevel::kV2;
}

std::atomic<VectorLevel> current = Detect();

}  // namespace

VectorLevel HighestVectorLevel() { return Detect(); }

VectorLevel CurrentVectorLevel() { return current.load(std::memory_order_relaxed); }

void SetVectorLevel(VectorLevel level) { current.store(level, std::memory_order_relaxed); }

}  // namespace samovar
