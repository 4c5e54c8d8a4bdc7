#include "server/state_lock.h"

#include <unistd.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/server.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("a state directory has one holder at a time, and who asks for it hears which process has it") {
  const TempDir dir;
  const std::string state = dir.path() + "/not/there/yet";
  std::optional<absl::StatusOr<StateLock>> first = StateLock::Take(state);
  REQUIRE_OK(first->status());
  REQUIRE_STATUS(StateLock::Take(state).status(), absl::StatusCode::kFailedPrecondition,
                 absl::StrCat("in use by pid ", getpid(), " on "));
  first.reset();
  REQUIRE_OK(StateLock::Take(state).status());
}

TEST_CASE("a second server on one state directory is refused, and the first one serves on") {
  const TempDir dir;
  Server::Options options;
  options.is_coordinator = true;
  options.state_dir = dir.path();
  absl::StatusOr<std::unique_ptr<Server>> first = Server::Start(options);
  REQUIRE_OK(first.status());
  Server::Options second = options;
  SECTION("another coordinator") {}
  SECTION("a server that joins") {
    second.is_coordinator = false;
    second.join = (*first)->address();
  }
  REQUIRE_STATUS(Server::Start(second).status(), absl::StatusCode::kFailedPrecondition, "is in use by pid");
  first->reset();
  options.forget_jobs = true;
  REQUIRE_OK(Server::Start(options).status());
}

}  // namespace
}  // namespace samovar
