#include "common/base/process_usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace samovar {

double ProcessCpuSeconds() {
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

uint64_t ProcessResidentBytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long size = 0;
  unsigned long long resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

std::string MachineName() {
  char host[256] = {};
  // One byte short, so that a name that was cut ends all the same.
  return gethostname(host, sizeof(host) - 1) == 0 ? host : "";
}

}  // namespace samovar
