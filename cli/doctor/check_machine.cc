#include "cli/doctor/check_machine.h"

#include <sys/timex.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/open_files.h"

namespace samovar {
namespace {

// A worker with the nets that are shipped; large nets take more, which no file here tells.
constexpr uint64_t kWorkerBytes = uint64_t{1} << 30;
// The operating system and the cluster's own daemons.
constexpr uint64_t kSystemBytes = uint64_t{1} << 30;
// Enough for a coordinator with hundreds of workers.
constexpr uint64_t kManyOpenFiles = 4096;

}  // namespace

Finding DescribeClockState(int state) {
  if (state == TIME_ERROR) {
    return Warning("clock", "nothing synchronises it, as far as the kernel knows",
                   "start chrony, or systemd-timesyncd (timedatectl set-ntp true)");
  }
  if (state < 0) return Warning("clock", "the kernel does not tell whether it is synchronised", "look at timedatectl");
  return Ok("clock", "it is synchronised");
}

Finding CheckClockSynchronised() {
  timex state{};
  return DescribeClockState(adjtimex(&state));
}

Finding CheckMemory(const std::vector<NodeRole>& roles, const MachineMemory& memory) {
  const std::string what = "memory";
  const auto mebibytes = [](uint64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); };
  uint64_t ours = 0;
  std::vector<std::string> parts;
  const NodeRole* unbounded = nullptr;
  for (const NodeRole& role : roles) {
    if (!role.error.empty()) continue;
    if (!role.is_worker() && role.parameter_bytes == 0) unbounded = &role;
    const uint64_t bytes = role.is_worker()            ? kWorkerBytes
                           : role.parameter_bytes != 0 ? role.parameter_bytes
                                                       : memory.limit_bytes / 4 * 3;
    ours += bytes;
    parts.push_back(absl::StrCat(role.role, " ", role.is_worker() ? "some " : "up to ", mebibytes(bytes)));
  }
  const uint64_t yarn = memory.yarn_mebibytes.value_or(0) << 20;
  if (yarn != 0) parts.push_back(absl::StrCat("YARN's containers ", mebibytes(yarn)));
  const std::string fact = absl::StrCat("the machine has ", mebibytes(memory.machine_bytes), parts.empty() ? "" : ": ",
                                        absl::StrJoin(parts, ", "));
  if (ours == 0 || ours + yarn + kSystemBytes <= memory.machine_bytes) return Ok(what, fact);
  const uint64_t room = memory.machine_bytes - std::min(memory.machine_bytes, yarn + kSystemBytes);
  const std::string lower = "lower yarn.nodemanager.resource.memory-mb (Ambari: YARN, memory of a node)";
  const std::string todo = unbounded == nullptr
                               ? (yarn == 0 ? "lower parameter-memory in the servers' configuration" : lower)
                               : absl::StrCat("set parameter-memory = ", std::max<uint64_t>(room / 4 * 3 >> 20, 1),
                                              " in ", unbounded->file, yarn == 0 ? "" : absl::StrCat(", or ", lower));
  // A server takes what it may only if jobs are so large: that alone is a warning. A bound that was set is a promise.
  return ours - (unbounded == nullptr ? 0 : memory.limit_bytes / 4 * 3) + yarn > memory.machine_bytes
             ? Wrong(what, fact, todo)
             : Warning(what, fact, todo);
}

Finding CheckLevel(absl::string_view level) {
  const std::string fact = absl::StrCat("the engine for ", level, " is used");
  if (level != "x86-64-v2") return Ok("CPU", fact);
  return Warning("CPU", absl::StrCat(fact, ", without AVX2"),
                 "a machine of this level computes slowly; unless SAMOVAR_ISA is set, it has no more");
}

Finding CheckOpenFiles(const std::string& whose, uint64_t limit) {
  const std::string fact = absl::StrCat(whose, " may open ", limit);
  const std::string todo = "raise it: LimitNOFILE=65536 in the unit, or ulimit -n";
  if (limit < kFewestOpenFiles) return Wrong("open files", fact, todo);
  return limit < kManyOpenFiles ? Warning("open files", fact, todo) : Ok("open files", fact);
}

}  // namespace samovar
