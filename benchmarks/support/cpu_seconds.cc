#include "benchmarks/support/cpu_seconds.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace samovar {

double CpuSecondsOf(pid_t pid) {
  double seconds = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"), error)) {
    std::ifstream stat(task.path() / "schedstat");
    double nanoseconds = 0;
    stat >> nanoseconds;
    seconds += 1e-9 * nanoseconds;
  }
  return seconds;
}

}  // namespace samovar
