#include "common/telemetry/recent_log.h"

#include <algorithm>
#include <utility>

#include "common/base/printable.h"

namespace samovar {

void RecentLog::Add(LogWeight weight, absl::string_view text, absl::Time now) {
  LoggedLine line = {0, now, weight, Printable(text, kMaxTextBytes)};
  absl::MutexLock lock(&mu_);
  line.number = ++newest_;
  bytes_ += line.text.size();
  lines_.push_back(std::move(line));
  while (lines_.size() > 1 && (lines_.size() > kMaxLines || bytes_ > kMaxBytes)) {
    bytes_ -= lines_.front().text.size();
    lines_.pop_front();
  }
}

std::vector<LoggedLine> RecentLog::After(uint64_t number, size_t max_bytes) const {
  std::vector<LoggedLine> found;
  size_t bytes = 0;
  absl::MutexLock lock(&mu_);
  for (auto line = lines_.rbegin(); line != lines_.rend() && line->number > number; ++line) {
    bytes += line->text.size();
    if (bytes > max_bytes && !found.empty()) break;
    found.push_back(*line);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace samovar
