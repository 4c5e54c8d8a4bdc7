// Loops compiled twice: for x86-64-v2, as all but the engine is, and with AVX2 for the CPUs that have it.
//
//     AtVectorLevel([=] { for (size_t i = 0; i < count; ++i) to[i] = a * from[i] + to[i]; });
//
// A loop of a few operations over many floats is as fast as memory with AVX2, and this is how it gets it without a
// library for each level. Vectors of 512 bits are no gain there: unless arrays begin at a multiple of 64 bytes each of
// their loads and stores touches two lines of the cache.
//
// Results are the same to the bit as long as the loop does the same to each element: products and sums are never fused
// (-ffp-contract=off), and a float sum over elements, whose order counts, is not vectorised.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <utility>

namespace samovar {

enum class VectorLevel { kV2, kV3 };

// The highest level that this CPU has.
VectorLevel HighestVectorLevel();
// The level that AtVectorLevel takes: the highest, unless it was lowered.
VectorLevel CurrentVectorLevel();
// Lowers the level of the whole process, for tests and benchmarks. REQUIRES: level <= HighestVectorLevel()
void SetVectorLevel(VectorLevel level);

// Inlines the loop and its calls, so that they are compiled for the level; calls that cannot be inlined are not.
template <typename Loop>
[[gnu::target("avx2"), gnu::flatten, gnu::noinline]] void RunAtV3(Loop loop) {
  std::move(loop)();
}

template <typename Loop>
void AtVectorLevel(Loop loop) {
  if (CurrentVectorLevel() == VectorLevel::kV3) return RunAtV3(std::move(loop));
  std::move(loop)();
}

}  // namespace samovar
