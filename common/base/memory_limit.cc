#include "common/base/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/read_file.h"

namespace samovar {
namespace {

constexpr uint64_t kUnknown = UINT64_MAX;
constexpr uint64_t kIfUnknown = uint64_t{4} << 30;
// The kernel's files about control groups are far shorter.
constexpr uint64_t kMaxFileBytes = 1 << 20;

// The number in a file of one line; "max", or nothing readable, is no limit. Version 1 writes a huge number for none.
uint64_t LimitIn(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  uint64_t limit = 0;
  return text.ok() && absl::SimpleAtoi(*text, &limit) ? limit : kUnknown;
}

// The lowest limit of the group and of all above it, up to `root`.
uint64_t LowestUpwards(const std::string& root, std::string group, const char* file) {
  uint64_t lowest = LimitIn(absl::StrCat(root, "/", file));
  while (!group.empty() && group != "/") {
    lowest = std::min(lowest, LimitIn(absl::StrCat(root, group, "/", file)));
    group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
  return lowest;
}

uint64_t ResourceLimit(int resource) {
  rlimit limit{};
  return getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
             ? limit.rlim_cur
             : kUnknown;
}

}  // namespace

uint64_t MachineMemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes) : kUnknown;
}

uint64_t CgroupMemoryLimit(const std::string& membership, const std::string& mount) {
  uint64_t lowest = kUnknown;
  const absl::StatusOr<std::string> text = ReadFile(membership, kMaxFileBytes);
  // "NUMBER:CONTROLLERS:PATH"; version 2 has no controllers.
  for (const absl::string_view line : absl::StrSplit(text.ok() ? *text : "", '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    if (fields[1].empty()) {
      // Beyond memory.high the kernel slows the group down until it is hardly alive.
      for (const char* name : {"memory.max", "memory.high"})
        lowest = std::min(lowest, LowestUpwards(mount, fields[2], name));
    }
    const std::vector<std::string> controllers = absl::StrSplit(fields[1], ',');
    if (std::find(controllers.begin(), controllers.end(), "memory") == controllers.end()) continue;
    lowest = std::min(lowest, LowestUpwards(absl::StrCat(mount, "/memory"), fields[2], "memory.limit_in_bytes"));
  }
  return lowest;
}

MemoryLimit FindMemoryLimit() {
  const MemoryLimit lowest =
      std::min({MemoryLimit{MachineMemoryBytes(), "the machine"},
                MemoryLimit{CgroupMemoryLimit("/proc/self/cgroup", "/sys/fs/cgroup"), "the control group"},
                MemoryLimit{ResourceLimit(RLIMIT_AS), "the limit of the address space"},
                MemoryLimit{ResourceLimit(RLIMIT_DATA), "the limit of the data segment"}},
               [](const MemoryLimit& a, const MemoryLimit& b) { return a.bytes < b.bytes; });
  return lowest.bytes == kUnknown ? MemoryLimit{kIfUnknown, "nothing that could be found"} : lowest;
}

uint64_t MemoryLimitBytes() { return FindMemoryLimit().bytes; }

}  // namespace samovar
