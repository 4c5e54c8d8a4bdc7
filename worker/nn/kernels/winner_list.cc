#include "worker/nn/kernels/winner_list.h"

#include <algorithm>
#include <bit>

#include "common/base/status_macros.h"

namespace samovar {

absl::Status WinnerList::Allocate(int64_t outputs, int64_t places, int64_t pooled) {
  outputs_ = outputs;
  places_ = places;
  pooled_ = pooled;
  SAMOVAR_RETURN_IF_ERROR(begins_.Allocate(outputs + 1));
  SAMOVAR_RETURN_IF_ERROR(ends_.Allocate(places + 1));
  // One more: Collect writes a winner before it knows whether it counts.
  for (Buffer<float>* buffer : {&diffs_, &diffs_by_place_})
    SAMOVAR_RETURN_IF_ERROR(buffer->Allocate(outputs * pooled + 1));
  for (Buffer<int32_t>* buffer : {&at_, &offsets_, &offsets_by_place_}) {
    SAMOVAR_RETURN_IF_ERROR(buffer->Allocate(outputs * pooled + 1));
  }
  return absl::OkStatus();
}

void WinnerList::Collect(const float* at, const float* diff, const int32_t* place_offsets) {
  float* __restrict const diffs = diffs_.data();
  int32_t* __restrict const places = at_.data();
  int32_t* __restrict const offsets = offsets_.data();
  const int64_t pooled = pooled_;
  int64_t count = 0;
  for (int64_t o = 0; o < outputs_; ++o, at += pooled, diff += pooled) {
    begins_.data()[o] = count;
    for (int64_t i = 0; i < pooled; ++i) {
      const int32_t place = std::bit_cast<int32_t>(at[i]);
      // Half of them may be dead behind a ReLU, at random: no branch.
      diffs[count] = diff[i];
      places[count] = place;
      offsets[count] = place_offsets[std::max(place, 0)];
      count += static_cast<int64_t>(place >= 0) & static_cast<int64_t>(diff[i] != 0);
    }
  }
  begins_.data()[outputs_] = count;
}

Winners WinnerList::OfOutput(int64_t output) const {
  const int64_t begin = begins_.data()[output];
  return {diffs_.data() + begin, offsets_.data() + begin, begins_.data()[output + 1] - begin};
}

void WinnerList::GroupByPlace(int64_t output_offset) {
  int64_t* const ends = ends_.data();
  std::fill_n(ends, places_ + 1, 0);
  const int64_t count = begins_.data()[outputs_];
  for (int64_t i = 0; i < count; ++i) ++ends[at_.data()[i] + 1];
  for (int64_t place = 1; place <= places_; ++place) ends[place] += ends[place - 1];
  // ends[p] is where the winners of p begin, and moves to their end.
  for (int64_t o = 0; o < outputs_; ++o) {
    for (int64_t i = begins_.data()[o]; i < begins_.data()[o + 1]; ++i) {
      const int64_t to = ends[at_.data()[i]]++;
      diffs_by_place_.data()[to] = diffs_.data()[i];
      offsets_by_place_.data()[to] = static_cast<int32_t>(o * output_offset);
    }
  }
}

Winners WinnerList::AtPlace(int64_t place) const {
  const int64_t begin = place == 0 ? 0 : ends_.data()[place - 1];
  return {diffs_by_place_.data() + begin, offsets_by_place_.data() + begin, ends_.data()[place] - begin};
}

}  // namespace samovar
