#include "common/base/suggest.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace samovar {

int EditDistance(absl::string_view a, absl::string_view b) {
  // Rows of the table distance[i][j] between the first i letters of a and the first j of b: row i and the two before
  // it.
  std::vector<int> before_last;
  std::vector<int> last;
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last = std::move(last);
    last = row;
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string DidYouMean(absl::string_view wrong, const std::vector<std::string>& candidates) {
  const int limit = wrong.size() < 4 ? 1 : std::max(2, static_cast<int>(wrong.size()) / 3);
  const std::string lower = absl::AsciiStrToLower(wrong);
  int best = limit + 1;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : candidates) {
    // A text of another length is at least the difference away, which bounds the work on garbage.
    if (std::abs(static_cast<int64_t>(candidate.size()) - static_cast<int64_t>(wrong.size())) > limit) continue;
    const int distance = EditDistance(lower, absl::AsciiStrToLower(candidate));
    if (distance < best && distance < static_cast<int>(wrong.size())) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest == nullptr ? "" : absl::StrCat("; did you mean \"", *nearest, "\"?");
}

}  // namespace samovar
