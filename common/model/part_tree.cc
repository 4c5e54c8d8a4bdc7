#include "common/model/part_tree.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace samovar {

bool IsSubtree(const PartRange& range, uint32_t parts) {
  if (range.count == 0 || range.end() > parts) return false;
  const uint32_t places = range.places();
  return range.first % places == 0 && range.count == std::min(places, parts - range.first);
}

std::optional<PartRange> SiblingOf(const PartRange& subtree, uint32_t parts) {
  if (subtree.count == parts) return std::nullopt;
  uint64_t places = subtree.places();
  // As long as there is no right half, it is its own parent.
  while (subtree.first % (2 * places) == 0 && subtree.first + places >= parts) places *= 2;
  if (subtree.first % (2 * places) != 0)
    return PartRange(static_cast<uint32_t>(subtree.first - places), static_cast<uint32_t>(places));
  const uint64_t right = subtree.first + places;
  return PartRange(static_cast<uint32_t>(right), static_cast<uint32_t>(std::min(places, parts - right)));
}

std::vector<PartRange> SubtreesOf(std::span<const uint32_t> listed, uint32_t parts) {
  std::vector<PartRange> subtrees;
  for (const uint32_t part : listed) {
    PartRange subtree(part);
    // A left half waits at the end of the list for its right one.
    for (auto sibling = SiblingOf(subtree, parts);
         sibling.has_value() && !subtrees.empty() && subtrees.back() == *sibling; sibling = SiblingOf(subtree, parts)) {
      subtree = PartRange(sibling->first, sibling->count + subtree.count);
      subtrees.pop_back();
    }
    subtrees.push_back(subtree);
  }
  return subtrees;
}

std::string PartsText(const PartRange& range) {
  if (range.count == 1) return absl::StrCat("part ", range.first);
  return absl::StrCat("parts ", range.first, " to ", range.end() - 1);
}

}  // namespace samovar
