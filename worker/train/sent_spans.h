// SentSpans finds out whether floats that are being sent have been written meanwhile: servers would then get some of
// the old values and some of the new ones, and no message would say so.
//
// A check for debug and sanitizer builds, and for tests: it reads the floats twice more.
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace samovar {

class SentSpans {
 public:
  // Whether builds of this kind check by themselves.
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool kByDefault = true;
#else
  static constexpr bool kByDefault = false;
#endif

  // If not enabled, nothing is noted.
  explicit SentSpans(bool enabled) : enabled_(enabled) {}

  // The floats are sent from here on; they begin at place `begin` of the flat vector, and are valid until Check or
  // Clear.
  void Add(uint64_t begin, std::span<const float> floats);
  // All have arrived: forgets them. INTERNAL: some were written since Add; the message names the first such span.
  absl::Status Check();
  void Clear() { sent_.clear(); }

 private:
  struct Sent {
    uint64_t begin;
    std::span<const float> floats;
    uint64_t digest;
  };

  const bool enabled_;
  std::vector<Sent> sent_;
};

}  // namespace samovar
