// Points of a job's curve, in blocks, and the rule by which points are left out.
//
// The points with the lowest and the highest loss of neighbours stay, in their order. A loss that is NaN counts as the
// highest. So the lowest and the highest loss of all are never left out, and a curve keeps its peaks.
//
// Thread safety: pure functions.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "samovar/v1/status.pb.h"

namespace samovar {

// Which of a job's blocks: those of a level hold later iterations than those of the levels above, and ascend with their
// index.
struct HistoryKey {
  uint32_t level = 0;
  uint64_t index = 0;

  auto operator<=>(const HistoryKey&) const = default;
};

using HistoryBlocks = std::map<HistoryKey, v1::HistoryBlock>;

// Whether each iteration of the block has its numbers, and iterations ascend.
bool IsWhole(const v1::HistoryBlock& block);

// Appends point i of another block. REQUIRES: both are whole, and points have equally many outputs.
void AppendPoint(const v1::HistoryBlock& from, int i, v1::HistoryBlock* to);

// Appends what stays of the points [begin, end) of a block: two points, or all if there are no more.
void AppendExtremes(const v1::HistoryBlock& from, int begin, int end, v1::HistoryBlock* to);

// The points of `first_iteration` and later ones, of blocks in the order of iterations. If these are more than
// `max_points`, and that is not 0: of each of max_points / 2 equal stretches of iterations its lowest and highest.
std::vector<v1::HistoryBlock> SelectPoints(const std::vector<v1::HistoryBlock>& blocks, uint64_t first_iteration,
                                           uint32_t max_points);

}  // namespace samovar
