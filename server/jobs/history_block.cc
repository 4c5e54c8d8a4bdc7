#include "server/jobs/history_block.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace samovar {
namespace {

// As many points as a block of a running job has.
constexpr int kPointsOfMessage = 1000;

// Whether loss a is lower than b.
bool IsLower(float a, float b) { return !std::isnan(a) && (std::isnan(b) || a < b); }

// REQUIRES: the block is whole, and not empty.
int OutputsOf(const v1::HistoryBlock& block) { return block.outputs_size() / block.iterations_size(); }

}  // namespace

bool IsWhole(const v1::HistoryBlock& block) {
  const int points = block.iterations_size();
  if (block.seconds_size() != points || block.losses_size() != points || block.learning_rates_size() != points) {
    return false;
  }
  if (!block.staleness().empty() && block.staleness_size() != points) return false;
  if (points == 0) return block.outputs().empty();
  if (block.outputs_size() % points != 0) return false;
  return std::adjacent_find(block.iterations().begin(), block.iterations().end(), std::greater_equal<uint64_t>()) ==
         block.iterations().end();
}

void AppendPoint(const v1::HistoryBlock& from, int i, v1::HistoryBlock* to) {
  to->add_iterations(from.iterations(i));
  to->add_seconds(from.seconds(i));
  to->add_losses(from.losses(i));
  to->add_learning_rates(from.learning_rates(i));
  const int outputs = OutputsOf(from);
  for (int k = 0; k < outputs; ++k) to->add_outputs(from.outputs(i * outputs + k));
  to->add_staleness(from.staleness().empty() ? -1 : from.staleness(i));
}

void AppendExtremes(const v1::HistoryBlock& from, int begin, int end, v1::HistoryBlock* to) {
  if (begin >= end) return;
  // The first of equal losses counts as the lowest, the last as the highest, so that these are two points.
  int lowest = begin;
  int highest = begin;
  for (int i = begin + 1; i < end; ++i) {
    if (IsLower(from.losses(i), from.losses(lowest))) lowest = i;
    if (!IsLower(from.losses(i), from.losses(highest))) highest = i;
  }
  AppendPoint(from, std::min(lowest, highest), to);
  if (lowest != highest) AppendPoint(from, std::max(lowest, highest), to);
}

std::vector<v1::HistoryBlock> SelectPoints(const std::vector<v1::HistoryBlock>& blocks, uint64_t first_iteration,
                                           uint32_t max_points) {
  std::vector<v1::HistoryBlock> selected;
  // One block is not longer than the messages may be.
  const auto room = [&selected]() {
    if (selected.empty() || selected.back().iterations_size() + 2 > kPointsOfMessage) selected.emplace_back();
    return &selected.back();
  };
  uint64_t points = 0;
  uint64_t first = UINT64_MAX;
  uint64_t last = 0;
  for (const v1::HistoryBlock& block : blocks) {
    for (const uint64_t iteration : block.iterations()) {
      if (iteration < first_iteration) continue;
      ++points;
      first = std::min(first, iteration);
      last = std::max(last, iteration);
    }
  }
  const bool all = max_points == 0 || points <= max_points;
  const uint64_t stretches = std::max<uint64_t>(1, max_points / 2);
  // Rounded up, so that there are no more stretches than that.
  const uint64_t length = points == 0 ? 1 : (last - first) / stretches + 1;
  v1::HistoryBlock stretch;
  uint64_t end = 0;
  const auto finish = [&] {
    if (stretch.iterations().empty()) return;
    v1::HistoryBlock* const to = room();
    AppendExtremes(stretch, 0, stretch.iterations_size(), to);
    stretch.Clear();
  };
  for (const v1::HistoryBlock& block : blocks) {
    for (int i = 0; i < block.iterations_size(); ++i) {
      const uint64_t iteration = block.iterations(i);
      if (iteration < first_iteration) continue;
      if (all) {
        AppendPoint(block, i, room());
        continue;
      }
      if (iteration >= end) {
        finish();
        end = first + ((iteration - first) / length + 1) * length;
      }
      AppendPoint(block, i, &stretch);
    }
  }
  finish();
  // The two points of one stretch would be one too many.
  if (max_points == 1 && !all) {
    v1::HistoryBlock one;
    AppendPoint(selected[0], IsLower(selected[0].losses(1), selected[0].losses(0)) ? 1 : 0, &one);
    return {std::move(one)};
  }
  return selected;
}

}  // namespace samovar
