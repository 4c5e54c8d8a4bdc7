// Buffer owns an array of floats (or other plain numbers) at a cache line's boundary, zero at first.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace samovar {

template <typename T>
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { Free(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Replaces the former memory. RESOURCE_EXHAUSTED: the system gives no memory. Pages are mapped, not taken from the
  // heap: they are large, live as long as a net, and cost nothing until they are touched.
  absl::Status Allocate(int64_t elements) {
    Free();
    if (elements == 0) return absl::OkStatus();
    const size_t bytes = static_cast<size_t>(elements) * sizeof(T);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for ", bytes >> 20, " MiB; make batch_size or the layer smaller"));
    }
    // Products go over rows that lie far apart, each in a page of its own: large pages need fewer look-ups. A system
    // that has none goes on with small ones.
    if (bytes >= kLargePage) madvise(memory, bytes, MADV_HUGEPAGE);
    data_ = static_cast<T*>(memory);
    elements_ = elements;
    return absl::OkStatus();
  }

  void Swap(Buffer& other) {
    std::swap(data_, other.data_);
    std::swap(elements_, other.elements_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return elements_; }
  std::span<T> span() { return {data_, static_cast<size_t>(elements_)}; }

 private:
  static constexpr size_t kLargePage = 2 << 20;

  void Free() {
    if (data_ != nullptr) munmap(data_, static_cast<size_t>(elements_) * sizeof(T));
    data_ = nullptr;
    elements_ = 0;
  }

  T* data_ = nullptr;
  int64_t elements_ = 0;
};

}  // namespace samovar
