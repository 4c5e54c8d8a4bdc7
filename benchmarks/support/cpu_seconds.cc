#include "benchmarks/support/cpu_seconds.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/list_directory.h"

namespace samovar {

double CpuSecondsOf(pid_t pid) {
  double seconds = 0;
  const std::string tasks = absl::StrCat("/proc/", pid, "/task");
  for (const std::string& task : ListDirectory(tasks).value_or(std::vector<std::string>())) {
    std::ifstream stat(absl::StrCat(tasks, "/", task, "/schedstat"));
    double nanoseconds = 0;
    stat >> nanoseconds;
    seconds += 1e-9 * nanoseconds;
  }
  return seconds;
}

}  // namespace samovar
