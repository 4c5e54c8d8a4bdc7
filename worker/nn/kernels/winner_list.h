// WinnerList holds the outputs of one image that a max pool chose and that have a gradient: the only terms of the sums
// behind it.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "worker/nn/kernels/buffer.h"

namespace samovar {

// Terms of one sum, as AddWeightedRows takes them.
struct Winners {
  const float* diffs;
  const int32_t* offsets;
  int64_t count;
};

class WinnerList {
 public:
  // For images of `outputs` planes with `places` places; a pool chooses `pooled` places of each plane.
  absl::Status Allocate(int64_t outputs, int64_t places, int64_t pooled);

  // at, diff: [outputs, pooled], as the pool wrote them (pooling_kernel.h). Winners without place or gradient are left
  // out. place_offsets: the offset that OfOutput gives a place.
  void Collect(const float* at, const float* diff, const int32_t* place_offsets);
  // In the order of the pool's outputs.
  Winners OfOutput(int64_t output) const;

  // Sorts the collected winners: those of each place in the order of outputs, whose offset is output *
  // `output_offset`.
  void GroupByPlace(int64_t output_offset);
  // REQUIRES: GroupByPlace
  Winners AtPlace(int64_t place) const;

 private:
  int64_t outputs_ = 0;
  int64_t places_ = 0;
  int64_t pooled_ = 0;
  // Winners of output o: [begins_[o], begins_[o + 1]).
  Buffer<int64_t> begins_;
  Buffer<float> diffs_;
  Buffer<int32_t> at_, offsets_;
  // By place: those of place p end at ends_[p], where those of p + 1 begin.
  Buffer<int64_t> ends_;
  Buffer<float> diffs_by_place_;
  Buffer<int32_t> offsets_by_place_;
};

}  // namespace samovar
