// DeferredLog keeps lines until it is destroyed, and writes them then. Declared before a lock, it writes lines that
// were logged under the lock after it: a reader of standard error that is slow, or stuck, must not hold up threads that
// wait for the lock.
//
// Thread safety: one thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/telemetry/log.h"
#include "common/telemetry/log_format.h"

namespace samovar {

class DeferredLog {
 public:
  DeferredLog() = default;
  DeferredLog(const DeferredLog&) = delete;
  DeferredLog& operator=(const DeferredLog&) = delete;
  ~DeferredLog() {
    for (const Line& line : lines_) {
      const LogScope scope(line.fields);
      line.write(line.text);
    }
  }

  void Info(std::string line) { lines_.push_back({&LogInfo, std::move(line), CurrentLogFields()}); }
  void Warning(std::string line) { lines_.push_back({&LogWarning, std::move(line), CurrentLogFields()}); }

 private:
  struct Line {
    void (*write)(absl::string_view);
    std::string text;
    // Those of the scope in which it was logged.
    LogFields fields;
  };

  std::vector<Line> lines_;
};

}  // namespace samovar
