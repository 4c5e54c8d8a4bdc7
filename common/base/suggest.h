// Finds the known name that is nearest to a name that does not exist.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

// The fewest insertions, removals, replacements and swaps of neighbours (each part of the text changed once at most)
// that turn one text into the other.
int EditDistance(absl::string_view a, absl::string_view b);

// `; did you mean "num_output"?` with the candidate nearest to `wrong`, in any case of its letters, or an empty string
// if none is near: a third of the letters may differ, two at least, but one in a word of three.
std::string DidYouMean(absl::string_view wrong, const std::vector<std::string>& candidates);

}  // namespace samovar
