// The passes of ConvolutionLayer whose kernel has one place: several small images are one row of places, so that
// weights and their gradient are read once for all of them, and tiles are full.
#include <algorithm>

#include "worker/nn/layers/convolution_layer.h"

namespace samovar {

void ConvolutionLayer::ForwardTogether(int64_t begin, int64_t end, int64_t group, Workspace* space) {
  const int64_t plane = window_.out_plane();
  for (int64_t first = begin, last; first < end; first = last) {
    last = std::min(end, first + images_);
    for (int64_t record = first; record < last; ++record) {
      TurnBottom(record, group, space->image.data() + (record - first) * plan_.frame.elements(), space);
    }
    ForwardPlaces(plan_, (last - first) * plane, space->image.data(), packed_.data() + group * plan_.dense_length(),
                  bias_.data() + group * plan_.width, space->out.data());
    for (int64_t record = first; record < last; ++record)
      FinishForward(record, group, space->out.data() + (record - first) * plan_.output_elements(), space);
  }
}

void ConvolutionLayer::BackwardTogether(int64_t begin, int64_t end, int64_t group, float* partial, Workspace* space) {
  const int64_t plane = window_.out_plane();
  const float* const weights = packed_backward_.data() + group * packed_backward_stride_;
  for (int64_t first = begin, last; first < end; first = last) {
    last = std::min(end, first + images_);
    for (int64_t record = first; record < last; ++record) {
      const int64_t slot = record - first;
      float* const diff = space->diff.data() + slot * diff_frame_.elements();
      if (wants_weights()) TurnBottom(record, group, space->image.data() + slot * plan_.frame.elements(), space);
      SpreadDiff(record, group, diff, space);
      if (wants_bias()) AddOverPlaces(diff_frame_, diff, partial + RoundUpToPackets(weights_partial()));
    }
    const int64_t places = (last - first) * plane;
    if (wants_weights()) AddWeightGradientOfPlaces(plan_, places, space->image.data(), space->diff.data(), partial);
    if (!wants_data()) continue;
    ForwardPlaces(*flipped_, places, space->diff.data(), weights, nullptr, space->in_diff.data());
    for (int64_t record = first; record < last; ++record) {
      TurnInDiffBack(record, group, space->in_diff.data() + (record - first) * flipped_->output_elements(), space);
    }
  }
}

}  // namespace samovar
