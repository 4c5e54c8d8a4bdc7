#include "common/storage/directory_lock.h"

#include <unistd.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

absl::StatusOr<DirectoryLock> Take(const std::string& directory) {
  return DirectoryLock::Take(directory, absl::ZeroDuration(),
                             [](const std::string& holder) { return absl::StrCat("it is in use by ", holder); });
}

TEST_CASE("a directory has one holder at a time, and who asks for it hears which process has it") {
  const TempDir dir;
  const std::string state = dir.path() + "/not/there/yet";
  std::optional<absl::StatusOr<DirectoryLock>> first = Take(state);
  REQUIRE_OK(first->status());
  REQUIRE_STATUS(Take(state).status(), absl::StatusCode::kFailedPrecondition,
                 absl::StrCat("it is in use by pid ", getpid(), " on "));
  first.reset();
  REQUIRE_OK(Take(state).status());
}

TEST_CASE("a directory that cannot be made is told with what the system says") {
  REQUIRE_STATUS(Take("/proc/self/no").status(), absl::StatusCode::kNotFound,
                 "cannot make the directory /proc/self/no");
}

}  // namespace
}  // namespace samovar
