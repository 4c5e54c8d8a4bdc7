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

namespace samovar {

class DeferredLog {
 public:
  DeferredLog() = default;
  DeferredLog(const DeferredLog&) = delete;
  DeferredLog& operator=(const DeferredLog&) = delete;
  ~DeferredLog() {
    for (const auto& [write, line] : lines_) write(line);
  }

  void Info(std::string line) { lines_.emplace_back(&LogInfo, std::move(line)); }
  void Warning(std::string line) { lines_.emplace_back(&LogWarning, std::move(line)); }

 private:
  std::vector<std::pair<void (*)(absl::string_view), std::string>> lines_;
};

}  // namespace samovar
