// The checks of `samovar doctor` on the machine itself: clock, memory, CPU and open files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/doctor/finding.h"
#include "cli/doctor/node_role.h"

namespace samovar {

// The kernel's word on the clock: whether something synchronises it.
Finding CheckClockSynchronised();
// As adjtimex returned; -1: it could not be asked.
Finding DescribeClockState(int state);

struct MachineMemory {
  uint64_t machine_bytes = 0;
  // A service here may have so much if nothing bounds it further.
  uint64_t limit_bytes = 0;
  // yarn.nodemanager.resource.memory-mb; nothing: YARN runs nothing here.
  std::optional<uint64_t> yarn_mebibytes = std::nullopt;
};

// Whether the services of this machine, beside YARN's containers, have room.
Finding CheckMemory(const std::vector<NodeRole>& roles, const MachineMemory& memory);

// `level`: of the engine that was loaded, "x86-64-v3".
Finding CheckLevel(absl::string_view level);

// `whose`: "the server's process 77".
Finding CheckOpenFiles(const std::string& whose, uint64_t limit);

}  // namespace samovar
