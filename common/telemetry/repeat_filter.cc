#include "common/telemetry/repeat_filter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {

void RepeatFilter::EndWindow(Entry* entry, absl::Time now) {
  if (entry->counted > 0) {
    due_.push_back({entry->weight, absl::StrCat(entry->counted, entry->counted == 1 ? " time" : " times", " more in ",
                                                absl::ToInt64Seconds(now - entry->since), " s: ", entry->text)});
  }
  entry->storm = entry->counted > 0;
  entry->counted = 0;
  entry->written = 0;
  entry->since = now;
}

bool RepeatFilter::Take(LogWeight weight, absl::string_view text, absl::Time now) {
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](const Entry& entry) { return entry.weight == weight && entry.text == text; });
  if (found == entries_.end()) {
    if (entries_.size() >= kMaxTexts) {
      EndWindow(&entries_.front(), now);
      entries_.pop_front();
    }
    entries_.push_back({weight, std::string(text), now});
    found = std::prev(entries_.end());
  } else if (now - found->since >= kWindow) {
    EndWindow(&*found, now);
    entries_.splice(entries_.end(), entries_, found);
  }
  const bool write = !found->storm && found->written < kWritten;
  if (write) {
    ++found->written;
  } else {
    ++found->counted;
  }
  return write;
}

std::vector<RepeatFilter::Told> RepeatFilter::TakeDue(absl::Time now) {
  while (!entries_.empty() && now - entries_.front().since >= kWindow) {
    EndWindow(&entries_.front(), now);
    // A text that has not come for a whole window is forgotten.
    if (entries_.front().storm)
      entries_.splice(entries_.end(), entries_, entries_.begin());
    else
      entries_.pop_front();
  }
  return std::exchange(due_, {});
}

}  // namespace samovar
