// Scratch is memory that layers use while they run and that holds nothing for them afterwards: since one layer of a net
// runs at a time, all of them share it.
//
// Life: for each layer Begin, and Take for each of its arrays; then Allocate, once.
// Thread safety: none of its own.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "worker/nn/kernels/buffer.h"

namespace samovar {

class Scratch {
 public:
  // The next layer's arrays have the places of the former ones'.
  void Begin() { end_ = 0; }
  // The offset of an array of so many floats, at a cache line's boundary.
  int64_t Take(int64_t elements) {
    const int64_t offset = end_;
    end_ += (elements + 15) / 16 * 16;
    elements_ = std::max(elements_, end_);
    return offset;
  }
  absl::Status Allocate() { return memory_.Allocate(elements_); }

  int64_t elements() const { return elements_; }
  float* data() { return memory_.data(); }

 private:
  int64_t end_ = 0, elements_ = 0;
  Buffer<float> memory_;
};

// One array of it. What a pass has left there may be anything.
class ScratchBuffer {
 public:
  void Take(Scratch* scratch, int64_t elements) {
    scratch_ = scratch;
    offset_ = scratch->Take(elements);
    elements_ = elements;
  }
  // REQUIRES: the scratch is allocated
  float* data() const { return scratch_ == nullptr ? nullptr : scratch_->data() + offset_; }
  void Clear() const { std::fill_n(data(), elements_, 0.0f); }
  int64_t size() const { return elements_; }

 private:
  Scratch* scratch_ = nullptr;
  int64_t offset_ = 0, elements_ = 0;
};

}  // namespace samovar
