// How much memory this process may have: the machine's, within its control group and its resource limits.
#pragma once

#include <cstdint>
#include <string>

namespace samovar {

// In bytes: the least of the machine's memory, the control group's limit and RLIMIT_AS and RLIMIT_DATA, as far as they
// are known; 4 GiB if none is.
uint64_t MemoryLimitBytes();

// The lowest limit of a control group, version 1 or 2, and of those above it. `membership`: as /proc/self/cgroup;
// `mount`: as /sys/fs/cgroup. UINT64_MAX: there is none.
uint64_t CgroupMemoryLimit(const std::string& membership, const std::string& mount);

}  // namespace samovar
