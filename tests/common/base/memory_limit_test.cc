#include "common/base/memory_limit.h"

#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

void Write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

TEST_CASE("the limit of a control group is the lowest of its own and of those above it") {
  const TempDir dir;
  const std::string membership = dir.path() + "/cgroup";
  Write(membership, "0::/system.slice/samovar.service\n");
  CHECK(CgroupMemoryLimit(membership, dir.path()) == UINT64_MAX);
  Write(dir.path() + "/system.slice/samovar.service/memory.max", "max\n");
  CHECK(CgroupMemoryLimit(membership, dir.path()) == UINT64_MAX);
  Write(dir.path() + "/system.slice/memory.max", "1073741824\n");
  CHECK(CgroupMemoryLimit(membership, dir.path()) == 1073741824);
  Write(dir.path() + "/system.slice/samovar.service/memory.max", "536870912\n");
  CHECK(CgroupMemoryLimit(membership, dir.path()) == 536870912);
  Write(dir.path() + "/system.slice/samovar.service/memory.high", "268435456\n");
  CHECK(CgroupMemoryLimit(membership, dir.path()) == 268435456);
}

TEST_CASE("the first version of control groups is known as well") {
  const TempDir dir;
  const std::string membership = dir.path() + "/cgroup";
  Write(membership, "12:cpu,cpuacct:/x\n7:memory:/docker/abc\n1:name=systemd:/y\n");
  Write(dir.path() + "/memory/docker/abc/memory.limit_in_bytes", "1000000\n");
  CHECK(CgroupMemoryLimit(membership, dir.path()) == 1000000);
  CHECK(CgroupMemoryLimit(dir.path() + "/nothing", dir.path()) == UINT64_MAX);
}

TEST_CASE("what the process may have is no more than its resource limit") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_DATA, &before) == 0);
  rlimit low = before;
  low.rlim_cur = rlim_t{3} << 30;
  REQUIRE(setrlimit(RLIMIT_DATA, &low) == 0);
  const uint64_t limit = MemoryLimitBytes();
  low.rlim_cur = rlim_t{64} << 20;
  REQUIRE(setrlimit(RLIMIT_DATA, &low) == 0);
  const MemoryLimit lowest = FindMemoryLimit();
  REQUIRE(setrlimit(RLIMIT_DATA, &before) == 0);
  CHECK(limit > 0);
  CHECK(limit <= uint64_t{3} << 30);
  // Lower than any machine's, or its control group's, on which this runs.
  CHECK(lowest.bytes == uint64_t{64} << 20);
  CHECK(lowest.by == std::string("the limit of the data segment"));
}

}  // namespace
}  // namespace samovar
