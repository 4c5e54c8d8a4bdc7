#include "cli/report/record_progress.h"

#include <unistd.h>

#include <iostream>

namespace samovar {

std::function<void(uint64_t done, uint64_t total)> RecordProgress() {
  if (isatty(STDERR_FILENO) == 0) return nullptr;
  return [](uint64_t done, uint64_t total) {
    std::cerr << "\r" << done << " of " << total << " records" << (done == total ? "\n" : "") << std::flush;
  };
}

}  // namespace samovar
