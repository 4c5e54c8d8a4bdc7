#include "common/model/part_tree.h"

#include <numeric>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

using Parts = std::vector<uint32_t>;
using Ranges = std::vector<PartRange>;

// By the definition: 2^k places from a multiple of 2^k on, as far as there are parts.
Ranges AllSubtrees(uint32_t parts) {
  Ranges subtrees;
  for (uint32_t places = 1; places < 2 * parts; places *= 2) {
    for (uint32_t first = 0; first < parts; first += places) {
      const PartRange subtree(first, std::min(places, parts - first));
      if (std::find(subtrees.begin(), subtrees.end(), subtree) == subtrees.end()) subtrees.push_back(subtree);
    }
  }
  return subtrees;
}

TEST_CASE("the subtrees of any number of parts are those of a power of two places, without what is beyond the parts") {
  for (const uint32_t parts : {1u, 2u, 3u, 5u, 6u, 7u, 8u, 13u, 16u}) {
    INFO(parts << " parts");
    const Ranges subtrees = AllSubtrees(parts);
    // As many as a binary tree with so many leaves has nodes.
    CHECK(subtrees.size() == 2 * parts - 1);
    for (uint32_t first = 0; first <= parts; ++first) {
      for (uint32_t count = 0; count <= parts + 1; ++count) {
        const PartRange range(first, count);
        const bool expected = std::find(subtrees.begin(), subtrees.end(), range) != subtrees.end();
        CHECK(IsSubtree(range, parts) == expected);
      }
    }
  }
  CHECK(IsSubtree(PartRange(4, 1), 5));
  CHECK(IsSubtree(PartRange(4, 3), 7));
  CHECK_FALSE(IsSubtree(PartRange(1, 2), 8));
  CHECK_FALSE(IsSubtree(PartRange(0, 3), 8));
  CHECK_FALSE(IsSubtree(PartRange(UINT32_MAX, UINT32_MAX), 8));
}

TEST_CASE("a subtree and its sibling are the halves of a subtree, the left one full") {
  for (const uint32_t parts : {1u, 2u, 3u, 5u, 6u, 7u, 8u, 13u, 16u, 65535u, 65536u}) {
    for (uint32_t part = 0; part < parts; part += std::max(1u, parts / 16)) {
      PartRange subtree(part);
      int levels = 0;
      while (const auto sibling = SiblingOf(subtree, parts)) {
        CHECK(SiblingOf(*sibling, parts) == subtree);
        const PartRange& left = subtree.first < sibling->first ? subtree : *sibling;
        const PartRange& right = subtree.first < sibling->first ? *sibling : subtree;
        CHECK(left.end() == right.first);
        CHECK(left.count == left.places());
        CHECK(right.count <= left.count);
        subtree = PartRange(left.first, left.count + right.count);
        CHECK(IsSubtree(subtree, parts));
        REQUIRE(++levels <= 16);
      }
      CHECK(subtree == PartRange(0, parts));
    }
  }
}

TEST_CASE("listed parts are the fewest subtrees") {
  CHECK(SubtreesOf(Parts{0, 1, 2, 3}, 8) == Ranges{PartRange(0, 4)});
  CHECK(SubtreesOf(Parts{4, 5, 6, 7}, 8) == Ranges{PartRange(4, 4)});
  CHECK(SubtreesOf(Parts{0, 1, 2}, 8) == Ranges{PartRange(0, 2), PartRange(2)});
  CHECK(SubtreesOf(Parts{3, 4, 5}, 8) == Ranges{PartRange(3), PartRange(4, 2)});
  CHECK(SubtreesOf(Parts{1, 2, 5}, 8) == Ranges{PartRange(1), PartRange(2), PartRange(5)});
  CHECK(SubtreesOf(Parts{4}, 5) == Ranges{PartRange(4)});
  CHECK(SubtreesOf(Parts{2, 3, 4}, 5) == Ranges{PartRange(2, 2), PartRange(4)});
  CHECK(SubtreesOf(Parts{4, 5, 6}, 7) == Ranges{PartRange(4, 3)});
  CHECK(SubtreesOf(Parts{}, 8).empty());
  for (const uint32_t parts : {1u, 3u, 5u, 8u, 13u, 16u}) {
    Parts all(parts);
    std::iota(all.begin(), all.end(), 0u);
    CHECK(SubtreesOf(all, parts) == Ranges{PartRange(0, parts)});
  }
}

}  // namespace
}  // namespace samovar
