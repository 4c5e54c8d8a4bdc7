// Gradients of one image: on planes; or with channels last, by winners behind a max pool, dense elsewhere.
#include <algorithm>
#include <bit>

#include "worker/nn/kernels/packet.h"
#include "worker/nn/kernels/pooling_kernel.h"
#include "worker/nn/kernels/strided_planes.h"
#include "worker/nn/kernels/sums.h"
#include "worker/nn/layers/convolution_layer.h"

namespace samovar {
namespace {

// diff = output > 0 ? diff : 0 * diff, as in relu_layer.cc. output is without padding.
void MaskRelu(const Frame& frame, const float* output, float* diff) {
  const Packet zero = Broadcast(0);
  const int64_t row = frame.width * frame.channels;
  for (int64_t y = 0; y < frame.height; ++y) {
    float* to = diff + frame.origin() + y * frame.row();
    for (int64_t i = 0; i < row; i += kPacketSize) {
      const Packet value = Load(to + i);
      Store(to + i, Select(Less(zero, Load(output + y * row + i)), value, Mul(zero, value)));
    }
  }
}

}  // namespace

void ConvolutionLayer::BackwardGroup(int64_t begin, int64_t end, int64_t group, float* partial, int thread) {
  Workspace* const space = spaces_[static_cast<size_t>(thread)].get();
  if (winograd_gradients_) return BackwardWinograd(begin, end, group, partial, space);
  if (images_ > 1) return BackwardTogether(begin, end, group, partial, space);
  if (!planes_) {
    for (int64_t record = begin; record < end; ++record) BackwardChannelsLast(record, group, partial, space);
    return;
  }
  if (wants_weights()) planes_->BeginGradient(thread);
  for (int64_t record = begin; record < end; ++record) BackwardPlanes(record, group, partial, thread);
  if (wants_weights()) planes_->EndGradient(thread, partial);
}

void ConvolutionLayer::BackwardPlanes(int64_t record, int64_t group, float* partial, int thread) {
  Workspace* const space = spaces_[static_cast<size_t>(thread)].get();
  const float* const diff = TopDiff(record, group, space);
  const float* const in = wants_weights() ? Input(record, group, space) : nullptr;
  float* const gradient = wants_weights() ? partial : nullptr;
  // Both may be in the same memory, one after the other.
  planes_->Backward(group, in, diff, thread, gradient, wants_data() ? BottomDiff(record, group, space) : nullptr);
  if (wants_data()) FinishBottomDiff(record, group, space);
  float* const bias = partial + RoundUpToPackets(weights_partial());
  for (int64_t o = 0; o < plan_.outputs && wants_bias(); ++o) {
    bias[o] += SumOf<float>(top_plane(), [x = diff + o * top_plane()](int64_t i) { return x[i]; });
  }
}

void ConvolutionLayer::BackwardChannelsLast(int64_t record, int64_t group, float* partial, Workspace* space) {
  if (wants_weights() && (by_winners() || !plan_.is_plain())) TurnBottom(record, group, space->image.data(), space);
  const bool spreads = wants_data() && !flipped_;
  if (spreads) std::fill_n(space->in_diff.data(), space->in_diff.size(), 0.0f);
  if (by_winners()) {
    BackwardByWinners(record, group, partial, space);
  } else {
    BackwardDense(record, group, partial, space);
  }
  if (wants_data()) TurnInDiffBack(record, group, space->in_diff.data(), space);
}

void ConvolutionLayer::TurnInDiffBack(int64_t record, int64_t group, const float* in_diff, Workspace* space) {
  Frame frame = plan_.frame;
  if (flipped_) frame = {flipped_->width, window_.in_h, window_.in_w, 0, 0};
  FromChannelsLast(in_diff, frame, plan_.window.channels, BottomDiff(record, group, space));
  FinishBottomDiff(record, group, space);
}

float* ConvolutionLayer::BottomDiff(int64_t record, int64_t group, Workspace* space) const {
  if (SkipsPlaces(written_)) return space->picked.data();
  return bottom(0).diff + record * bottom_record() + group * group_bottom();
}

void ConvolutionLayer::FinishBottomDiff(int64_t record, int64_t group, Workspace* space) {
  const int64_t channels = plan_.window.channels;
  float* const diff = bottom(0).diff + record * bottom_record() + group * group_bottom();
  if (SkipsPlaces(written_)) SpreadPlaces(written_, channels, space->picked.data(), diff);
  if (norms_.sums_below) norms_.below->SumRecord(record, group * channels, (group + 1) * channels);
}

void ConvolutionLayer::BackwardByWinners(int64_t record, int64_t group, float* partial, Workspace* space) {
  WinnerList& winners = space->winners;
  winners.Collect(at_.data() + at_offset(record, group), top(0).diff + top_offset(record, group),
                  place_offsets_.data());
  for (const RowBlock& block : plan_.image_blocks) {
    for (int64_t o = 0; o < plan_.outputs && wants_weights(); ++o) {
      const Winners of = winners.OfOutput(o);
      AddWeightedRows(block, of.diffs, of.offsets, of.count, space->image.data(), plan_.run_offsets.data(),
                      partial + o * plan_.rows_length(), plan_.packed_runs.data());
    }
  }
  for (int64_t o = 0; o < plan_.outputs && wants_bias(); ++o) {
    const Winners of = winners.OfOutput(o);
    partial[RoundUpToPackets(weights_partial()) + o] +=
        SumOf<float>(of.count, [x = of.diffs](int64_t i) { return x[i]; });
  }
  if (!wants_data()) return;
  const float* rows = packed_backward_.data() + group * packed_backward_stride_;
  winners.GroupByPlace(plan_.rows_length());
  // Block by block, so that the part of the rows in use stays in the first-level cache.
  for (const RowBlock& block : plan_.row_blocks) {
    for (int64_t place = 0; place < window_.out_plane(); ++place) {
      const Winners at = winners.AtPlace(place);
      AddWeightedRows(block, at.diffs, at.offsets, at.count, rows, plan_.packed_runs.data(),
                      space->in_diff.data() + place_offsets_[static_cast<size_t>(place)], plan_.run_offsets.data());
    }
  }
}

const float* ConvolutionLayer::TopDiff(int64_t record, int64_t group, Workspace* space) {
  const float* top_diff = top(0).diff + top_offset(record, group);
  float* planes = space->planes.data();
  if (norms_.differentiated != nullptr) {
    norms_.differentiated->WriteInDiff(record, group * plan_.outputs, (group + 1) * plan_.outputs, planes);
    return planes;
  }
  // A maximum that ReLU set to zero has no place already.
  const bool masks = pool() ? !pool()->max && absorbed_.relu_of_pool : absorbed_.relu;
  if (!masks) return top_diff;
  const float* top_data = top(0).data + top_offset(record, group);
  for (int64_t i = 0; i < group_top(); ++i) planes[i] = top_data[i] > 0 ? top_diff[i] : 0 * top_diff[i];
  return planes;
}

void ConvolutionLayer::SpreadDiff(int64_t record, int64_t group, float* diff, Workspace* space) {
  const float* top_diff = TopDiff(record, group, space);
  if (!pool()) return ToChannelsLast(top_diff, plan_.outputs, diff_frame_, diff);
  if (pool()->max) {
    float* planes = space->planes.data();
    for (int64_t o = 0; o < plan_.outputs; ++o) {
      const int64_t in_top = o * top_plane();
      MaxPoolBackward(pool()->window, top_diff + in_top, at_.data() + at_offset(record, group) + in_top,
                      planes + o * window_.out_plane());
    }
    return ToChannelsLast(planes, plan_.outputs, diff_frame_, diff);
  }
  Transpose(top_diff, plan_.outputs, top_plane(), top_plane(), space->pooled.data(), plan_.width);
  AveragePoolBackward(pool()->window, plan_.packets, space->pooled.data(), diff + diff_frame_.origin(),
                      diff_frame_.row());
  if (absorbed_.relu)
    MaskRelu(diff_frame_, outputs_.data() + (record * groups_ + group) * plan_.output_elements(), diff);
}

void ConvolutionLayer::BackwardDense(int64_t record, int64_t group, float* partial, Workspace* space) {
  const float* diff = space->diff.data();
  SpreadDiff(record, group, space->diff.data(), space);
  const float* first = diff + diff_frame_.origin();
  if (wants_weights() && plan_.is_plain()) {
    AddWeightGradientOfPlanes(plan_.window, plan_.outputs, Input(record, group, space), first, partial);
  } else if (wants_weights()) {
    AddWeightGradient(plan_, space->image.data(), first, diff_frame_.row(), partial);
  }
  if (wants_bias()) AddOverPlaces(diff_frame_, diff, partial + RoundUpToPackets(weights_partial()));
  if (!wants_data()) return;
  const float* weights = packed_backward_.data() + group * packed_backward_stride_;
  if (flipped_) return ForwardImage(*flipped_, diff, weights, nullptr, space->in_diff.data());
  for (const RowBlock& block : plan_.row_blocks) {
    for (int64_t place = 0; place < window_.out_plane(); ++place) {
      const int64_t at = place / window_.out_w * diff_frame_.row() + place % window_.out_w * plan_.width;
      AddWeightedRows(block, first + at, output_offsets_.data(), plan_.outputs, weights, plan_.packed_runs.data(),
                      space->in_diff.data() + place_offsets_[static_cast<size_t>(place)], plan_.run_offsets.data());
    }
  }
}

}  // namespace samovar
