// How much memory this process may have: the machine's, within its control group and its resource limits.
#pragma once

#include <cstdint>
#include <string>

namespace samovar {

struct MemoryLimit {
  uint64_t bytes = 0;
  // The bound's origin, for people: "the control group". Of static lifetime.
  const char* by = "";
};

// The least of the machine's memory, the control group's limit and RLIMIT_AS and RLIMIT_DATA, as far as they are known;
// 4 GiB if none is.
MemoryLimit FindMemoryLimit();
// Its bytes.
uint64_t MemoryLimitBytes();
// The machine's memory; UINT64_MAX: not known.
uint64_t MachineMemoryBytes();

// The lowest limit of a control group, version 1 or 2, and of those above it. `membership`: as /proc/self/cgroup;
// `mount`: as /sys/fs/cgroup. UINT64_MAX: there is none.
uint64_t CgroupMemoryLimit(const std::string& membership, const std::string& mount);

}  // namespace samovar
