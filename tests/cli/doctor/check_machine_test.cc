#include "cli/doctor/check_machine.h"

#include <sys/timex.h>

#include "absl/strings/match.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

using Level = Finding::Level;

constexpr uint64_t kGiB = uint64_t{1} << 30;

NodeRole RoleOf(const std::string& name, uint64_t parameter_bytes = 0) {
  NodeRole role;
  role.role = name;
  role.file = "/etc/samovar/" + name + ".toml";
  role.parameter_bytes = parameter_bytes;
  return role;
}

TEST_CASE("a clock that nothing synchronises is a warning") {
  CHECK(DescribeClockState(TIME_OK).level == Level::kOk);
  CHECK(DescribeClockState(TIME_INS).level == Level::kOk);
  CHECK(DescribeClockState(TIME_ERROR).level == Level::kWarning);
  CHECK(DescribeClockState(-1).level == Level::kWarning);
}

TEST_CASE("memory that is promised to YARN and to a server is counted once for both") {
  // Sixteen GiB: twelve for YARN, and a gibibyte for the system.
  MachineMemory memory{16 * kGiB, 16 * kGiB, 12 * 1024};
  CHECK(CheckMemory({RoleOf("server", 2 * kGiB)}, memory).level == Level::kOk);
  const Finding tight = CheckMemory({RoleOf("server", 4 * kGiB)}, memory);
  CHECK(tight.level == Level::kWarning);
  CHECK(tight.fact == "the machine has 16384 MiB: server up to 4096 MiB, YARN's containers 12288 MiB");
  CHECK(absl::StrContains(tight.todo, "lower yarn.nodemanager.resource.memory-mb"));
  CHECK(CheckMemory({RoleOf("server", 8 * kGiB)}, memory).level == Level::kWrong);
}

TEST_CASE("a server without a bound of its own is told one that leaves YARN its share") {
  const MachineMemory memory{16 * kGiB, 16 * kGiB, 7 * 1024};
  const Finding finding = CheckMemory({RoleOf("server"), RoleOf("worker")}, memory);
  CHECK(finding.level == Level::kWarning);
  CHECK(absl::StrContains(finding.fact, "server up to 12288 MiB, worker some 1024 MiB, YARN's containers 7168 MiB"));
  // Three quarters of the eight GiB that are left.
  CHECK(absl::StrContains(finding.todo, "set parameter-memory = 6144 in /etc/samovar/server.toml, or lower yarn"));
}

TEST_CASE("a machine of no services, or without YARN, is told what it has") {
  CHECK(CheckMemory({}, {16 * kGiB, 16 * kGiB, 15 * 1024}).level == Level::kOk);
  CHECK(CheckMemory({RoleOf("server")}, {16 * kGiB, 16 * kGiB, std::nullopt}).level == Level::kOk);
  NodeRole refused = RoleOf("server", 64 * kGiB);
  refused.error = "its configuration is wrong";
  CHECK(CheckMemory({refused}, {16 * kGiB, 16 * kGiB, std::nullopt}).fact == "the machine has 16384 MiB");
}

TEST_CASE("the lowest level of the engine is a warning") {
  CHECK(CheckLevel("x86-64-v3").level == Level::kOk);
  CHECK(CheckLevel("x86-64-v2").level == Level::kWarning);
}

TEST_CASE("few open files are a warning, and too few are wrong") {
  CHECK(CheckOpenFiles("the server's process 7", 65536).level == Level::kOk);
  CHECK(CheckOpenFiles("the server's process 7", 1024).level == Level::kWarning);
  CHECK(CheckOpenFiles("the server's process 7", 32).level == Level::kWrong);
  CHECK(CheckOpenFiles("the server's process 7", 32).fact == "the server's process 7 may open 32");
}

}  // namespace
}  // namespace samovar
