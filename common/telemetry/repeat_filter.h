// RepeatFilter keeps a text that is logged again and again from filling the log: of one that comes more often than a
// few times a minute the rest are counted, and the count is told once a minute.
//
// Thread safety: none; guarded by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/telemetry/recent_log.h"

namespace samovar {

class RepeatFilter {
 public:
  // A text is written so often in a window of that length; ...
  static constexpr int kWritten = 3;
  static constexpr absl::Duration kWindow = absl::Minutes(1);
  // ... of so many texts at a time it is known how often they came.
  static constexpr size_t kMaxTexts = 64;

  // A line that says how often a text came.
  struct Told {
    LogWeight weight = LogWeight::kInfo;
    std::string text;
  };

  // Takes a text that is to be logged, and returns whether it is to be written.
  bool Take(LogWeight weight, absl::string_view text, absl::Time now);
  // The counts that are due, each once; to be written before the text that was just taken.
  std::vector<Told> TakeDue(absl::Time now);

 private:
  struct Entry {
    LogWeight weight = LogWeight::kInfo;
    std::string text;
    absl::Time since;
    // In this window.
    int written = 0;
    uint64_t counted = 0;
    // The window before had more than were written: it goes on.
    bool storm = false;
  };

  // Ends the entry's window; its count becomes due.
  void EndWindow(Entry* entry, absl::Time now);

  // The oldest windows first.
  std::list<Entry> entries_;
  std::vector<Told> due_;
};

}  // namespace samovar
