#include "cli/doctor/check_disk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using Level = Finding::Level;

const ServiceUser kMe{"me", getuid()};

TEST_CASE("a directory that is there, the user's own and roomy is well") {
  const TempDir dir;
  const Finding finding = CheckDirectory("state", dir.path(), kMe, 1);
  CHECK(finding.level == Level::kOk);
  CHECK(absl::StrContains(finding.fact, absl::StrCat(dir.path(), " has room for ")));
  const Finding small = CheckDirectory("state", dir.path(), kMe, std::numeric_limits<uint64_t>::max());
  CHECK(small.level == Level::kWarning);
}

TEST_CASE("a directory of another user's is wrong, and the command that mends it is told") {
  const TempDir dir;
  const Finding finding = CheckDirectory("state", dir.path(), ServiceUser{"samovar", getuid() + 1}, 1);
  CHECK(finding.level == Level::kWrong);
  CHECK(finding.fact == absl::StrCat(dir.path(), " belongs to user ", getuid(), ", and not to samovar"));
  CHECK(finding.todo == absl::StrCat("chown -R samovar:samovar ", dir.path()));
  // Without the user nobody can tell whose it should be.
  CHECK(CheckDirectory("state", dir.path(), std::nullopt, 1).level == Level::kOk);
}

TEST_CASE("a missing directory is a warning, since its unit makes it, and a file or a locked one is wrong") {
  const TempDir dir;
  const Finding missing = CheckDirectory("cache", dir.File("cache"), kMe, 1);
  CHECK(missing.level == Level::kWarning);
  CHECK(absl::StrContains(missing.todo, absl::StrCat("install -d -o me -g me -m 750 ", dir.File("cache"))));
  std::ofstream(dir.File("file")) << "x";
  CHECK(CheckDirectory("cache", dir.File("file"), kMe, 1).fact == dir.File("file") + " is no directory");
  REQUIRE(mkdir(dir.File("locked").c_str(), 0500) == 0);
  const Finding locked = CheckDirectory("cache", dir.File("locked"), kMe, 1);
  CHECK(locked.level == Level::kWrong);
  CHECK(locked.todo == absl::StrCat("chmod u+rwx ", dir.File("locked")));
}

TEST_CASE("state on the temporary disk is a warning, and so is a cache where that disk is the system's") {
  const TempDir dir;
  NodeRole role;
  role.role = "server";
  role.file = "/etc/samovar/server.toml";
  role.state = dir.path();
  CHECK(CheckDisks(role, kMe, "/mnt/resource").size() == 1);
  const std::vector<Finding> state = CheckDisks(role, kMe, dir.path());
  REQUIRE(state.size() == 2);
  CHECK(state[1].level == Level::kWarning);
  CHECK(absl::StrContains(state[1].fact, "lost when the machine is moved"));

  role.state = "";
  role.cache = dir.path();
  const std::vector<Finding> cache = CheckDisks(role, kMe, dir.path());
  REQUIRE(cache.size() == 2);
  CHECK(absl::StrContains(cache[1].fact, "is no disk of its own"));
}

TEST_CASE("root is found by name, and a user that is not there is not") {
  REQUIRE(FindUser("root").has_value());
  CHECK(FindUser("root")->uid == 0);
  CHECK_FALSE(FindUser("no-such-user-here").has_value());
}

}  // namespace
}  // namespace samovar
