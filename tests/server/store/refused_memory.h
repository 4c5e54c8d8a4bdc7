// Replaces the operator new of the program whose one source includes this: it throws std::bad_alloc when it is told to.
// Not for builds with sanitizers, which bring an operator new of their own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace samovar {

// Allocations until one is refused; below 0: none is.
inline std::atomic<int64_t> until_refusal{-1};
// Whether an allocation of the calling thread counts; by default each does.
inline bool (*counts_allocation)() = nullptr;

inline void* AllocateOrRefuse(std::size_t bytes) {
  if (until_refusal.load() >= 0 && (counts_allocation == nullptr || counts_allocation()) &&
      until_refusal.fetch_sub(1) == 0)
    throw std::bad_alloc();
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace samovar

void* operator new(std::size_t bytes) { return samovar::AllocateOrRefuse(bytes); }
void* operator new[](std::size_t bytes) { return samovar::AllocateOrRefuse(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
