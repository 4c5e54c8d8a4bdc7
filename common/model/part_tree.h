// The fixed binary tree in which the parts of an iteration are added up. Float sums depend on their order, and the
// model must not depend on which worker computed which parts; so the order is that of the tree, and whoever holds all
// parts of a subtree, a worker or a server, adds them up to the same floats.
//
// The parts are 0 ... P-1. A subtree of 2^k places has the parts of [a, a + 2^k) that are below P, where a is a
// multiple of 2^k. Its halves are the subtrees of [a, a + 2^(k-1)) and of [a + 2^(k-1), a + 2^k); if the right one has
// no part, the subtree is its left half. So, of any number of parts:
//
//   P = 8    ((0 1) (2 3)) ((4 5) (6 7))        subtrees: 0-7; 0-3, 4-7; 0-1, 2-3, 4-5, 6-7; each part alone
//   P = 5    ((0 1) (2 3)) 4                    subtrees: 0-4; 0-3; 0-1, 2-3; each part alone
//
// Two subtrees are disjoint, or one is within the other.
//
// Thread safety: stateless.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace samovar {

// Parts `first` ... `first` + `count` - 1. One part is such a range.
struct PartRange {
  constexpr PartRange(uint32_t first_part = 0, uint32_t parts = 1) : first(first_part), count(parts) {}

  // The places of the smallest subtree that can have so many parts. REQUIRES: 0 < count <= 2^31
  uint32_t places() const { return std::bit_ceil(count); }
  uint64_t end() const { return uint64_t{first} + count; }
  bool Contains(const PartRange& other) const { return first <= other.first && other.end() <= end(); }
  bool operator==(const PartRange& other) const = default;

  uint32_t first;
  uint32_t count;
};

// Whether the tree over so many parts has this subtree.
bool IsSubtree(const PartRange& range, uint32_t parts);

// The other half of the smallest subtree that is larger than this one. None: it has all parts. REQUIRES:
// IsSubtree(subtree, parts)
std::optional<PartRange> SiblingOf(const PartRange& subtree, uint32_t parts);

// The largest subtrees that have these parts and no other, in their order. REQUIRES: the parts ascend, each is below
// `parts`
std::vector<PartRange> SubtreesOf(std::span<const uint32_t> listed, uint32_t parts);

// "part 3", "parts 0 to 3".
std::string PartsText(const PartRange& range);

}  // namespace samovar
