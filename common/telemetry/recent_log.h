// RecentLog keeps the newest lines of a log, within bounds, for readers who cannot see where it is written to.
//
// Thread safety: all methods may be called from any thread. Lock order: mu_ is a leaf lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace samovar {

enum class LogWeight { kDebug, kInfo, kWarning, kError };

struct LoggedLine {
  // From 1, without gaps.
  uint64_t number = 0;
  absl::Time time;
  LogWeight weight = LogWeight::kInfo;
  std::string text;
};

class RecentLog {
 public:
  // The newest lines are kept: so many, with so many bytes of text in all. A longer text is cut.
  static constexpr size_t kMaxLines = 1000;
  static constexpr size_t kMaxBytes = 256 << 10;
  static constexpr size_t kMaxTextBytes = 2048;

  // `text` is one line of printable UTF-8.
  void Add(LogWeight weight, absl::string_view text, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  // The newest lines with a higher number, oldest first: so many bytes of text at most, but one line in any case.
  std::vector<LoggedLine> After(uint64_t number, size_t max_bytes = kMaxBytes) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable absl::Mutex mu_;
  std::deque<LoggedLine> lines_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t newest_ ABSL_GUARDED_BY(mu_) = 0;
};

// The lines that this process has logged (log.h), without those that its log level leaves out. A count of repeats that
// is due is told first.
const RecentLog& ProcessLog();

}  // namespace samovar
