#include "common/remote/run_program.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

TEST_CASE("what a program prints is returned, and its arguments are its own") {
  CHECK(RunProgram({"printf", "%s", "a b; $HOME"}, kLong).value() == "a b; $HOME");
  CHECK(RunProgram({"cat"}, kLong).value() == "");
}

TEST_CASE("a program that is not there, fails, hangs or prints without end is told by its name alone") {
  REQUIRE_STATUS(RunProgram({"/no/such/program"}, kLong).status(), absl::StatusCode::kNotFound, "/no/such/program");
  const absl::Status failed = RunProgram({"sh", "-c", "echo SECRET; exit 3"}, kLong).status();
  REQUIRE_STATUS(failed, absl::StatusCode::kFailedPrecondition, "sh ended with code 3");
  CHECK_FALSE(absl::StrContains(failed.message(), "SECRET"));
  REQUIRE_STATUS(RunProgram({"sleep", "1000"}, absl::Milliseconds(50)).status(), absl::StatusCode::kDeadlineExceeded,
                 "sleep did not end in time");
  REQUIRE_STATUS(RunProgram({"yes"}, kLong).status(), absl::StatusCode::kResourceExhausted, "yes printed more than");
}

}  // namespace
}  // namespace samovar
