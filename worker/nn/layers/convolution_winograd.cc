// The passes of ConvolutionLayer in Winograd's tiles: some rows of an image's tiles, or all tiles of some images, at a
// time, so that transformed weights are read once for many tiles.
#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/packet.h"
#include "worker/nn/layers/convolution_layer.h"

namespace samovar {
namespace {

// Whether the environment allows it.
absl::StatusOr<bool> WinogradIsWanted() {
  const char* const wish = std::getenv("SAMOVAR_WINOGRAD");
  const absl::string_view text = wish == nullptr ? "1" : wish;
  if (text == "0" || text == "1") return text == "1";
  return absl::InvalidArgumentError(absl::StrCat(
      "SAMOVAR_WINOGRAD is \"", text, "\"; give 0 to compute convolutions by direct sums alone, or 1, the default"));
}

// body(first record, last record, first row, end of rows) for the tiles that are computed together.
template <typename Body>
void ForEachPart(const WinogradPlan& plan, int64_t begin, int64_t end, Body body) {
  for (int64_t first = begin; first < end; first += plan.images) {
    for (int64_t row = 0; row < plan.tiles_h; row += plan.rows)
      body(first, std::min(end, first + plan.images), row, std::min(plan.tiles_h, row + plan.rows));
  }
}

}  // namespace

absl::Status ConvolutionLayer::AllocateWinograd() {
  SAMOVAR_ASSIGN_OR_RETURN(const bool wanted, WinogradIsWanted());
  if (!wanted || !WinogradPlan::Suits(plan_)) return absl::OkStatus();
  winograd_.emplace(plan_, plan_.window.channels);
  winograd_weights_.Take(binding().packed, groups_ * winograd_->weight_elements());
  // Both convolutions have the same tiles then.
  const bool same_size = window_.in_h == window_.out_h && window_.in_w == window_.out_w;
  winograd_gradients_ = wants_any() && !by_winners() && (!wants_data() || (flipped_ && same_size));
  if (winograd_gradients_ && wants_data()) {
    winograd_backward_.emplace(*flipped_, plan_.outputs);
    winograd_backward_weights_.Take(binding().scratch, groups_ * winograd_backward_->weight_elements());
  }
  for (auto& space : spaces_) {
    space->tiles_in.Take(binding().scratch, winograd_->input_elements());
    space->tiles_out.Take(binding().scratch, winograd_->output_elements());
    if (winograd_backward_) space->tiles_diff.Take(binding().scratch, winograd_backward_->input_elements());
    if (winograd_gradients_ && wants_weights())
      space->tiles_gradient.Take(binding().scratch, winograd_->weight_elements());
  }
  return absl::OkStatus();
}

void ConvolutionLayer::TransformForPass(bool backward) {
  const WinogradPlan& plan = backward ? *winograd_backward_ : *winograd_;
  float* const transformed = backward ? winograd_backward_weights_.data() : winograd_weights_.data();
  for (int64_t g = 0; g < groups_; ++g) {
    TransformWeights(plan, binding().weights[0] + g * group_weights(), /*flipped=*/backward,
                     transformed + g * plan.weight_elements());
  }
}

void ConvolutionLayer::ForwardWinograd(int64_t begin, int64_t end, int64_t group, Workspace* space) {
  const WinogradPlan& plan = *winograd_;
  ForEachPart(plan, begin, end, [&](int64_t first, int64_t last, int64_t row, int64_t end_row) {
    TileRows rows{row, end_row, 0};
    const int64_t tiles = (end_row - row) * plan.tiles_w;
    for (int64_t record = first; record < last; ++record, rows.slot += tiles) {
      if (row == 0) TurnBottom(record, group, space->image.data(), space);
      TransformInput(plan, rows, space->image.data(), space->tiles_in.data());
    }
    MultiplyTiles(plan, rows.slot, space->tiles_in.data(), winograd_weights_.data() + group * plan.weight_elements(),
                  space->tiles_out.data());
    rows.slot = 0;
    for (int64_t record = first; record < last; ++record, rows.slot += tiles) {
      float* const out = OutputOf(record, group, space);
      TransformOutput(plan, rows, space->tiles_out.data(), bias_.data() + group * plan_.width, out);
      if (end_row == plan.tiles_h) FinishForward(record, group, out, space);
    }
  });
}

void ConvolutionLayer::BackwardWinograd(int64_t begin, int64_t end, int64_t group, float* partial, Workspace* space) {
  const WinogradPlan& plan = *winograd_;
  std::fill_n(space->tiles_gradient.data(), space->tiles_gradient.size(), 0.0f);
  const float* const diff = space->diff.data();
  ForEachPart(plan, begin, end, [&](int64_t first, int64_t last, int64_t row, int64_t end_row) {
    TileRows rows{row, end_row, 0};
    const int64_t tiles = (end_row - row) * plan.tiles_w;
    for (int64_t record = first; record < last; ++record, rows.slot += tiles) {
      if (row == 0) {
        if (wants_weights()) TurnBottom(record, group, space->image.data(), space);
        SpreadDiff(record, group, space->diff.data(), space);
        if (wants_bias()) AddOverPlaces(diff_frame_, diff, partial + RoundUpToPackets(weights_partial()));
      }
      if (wants_weights()) {
        TransformInput(plan, rows, space->image.data(), space->tiles_in.data());
        TransformDiff(plan, rows, diff + diff_frame_.origin(), diff_frame_.row(), space->tiles_out.data());
      }
      if (wants_data()) TransformInput(*winograd_backward_, rows, diff, space->tiles_diff.data());
    }
    if (wants_weights()) {
      AddTilesGradient(plan, rows.slot, space->tiles_in.data(), space->tiles_out.data(), space->tiles_gradient.data());
    }
    if (!wants_data()) return;
    MultiplyTiles(*winograd_backward_, rows.slot, space->tiles_diff.data(),
                  winograd_backward_weights_.data() + group * winograd_backward_->weight_elements(),
                  space->tiles_in.data());
    rows.slot = 0;
    for (int64_t record = first; record < last; ++record, rows.slot += tiles) {
      TransformOutput(*winograd_backward_, rows, space->tiles_in.data(), nullptr, space->in_diff.data());
      if (end_row == plan.tiles_h) TurnInDiffBack(record, group, space->in_diff.data(), space);
    }
  });
  if (wants_weights()) AddWinogradGradient(plan, space->tiles_gradient.data(), partial);
}

}  // namespace samovar
