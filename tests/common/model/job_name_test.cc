#include "common/model/job_name.h"

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {

TEST_CASE("a new job's name is neither like a flag nor like a directory that leads elsewhere") {
  for (const char* const name : {"lenet", "_x", "7", "a-b.c"}) REQUIRE_OK(CheckNewJobName(name));
  for (const char* const name : {"-v", "--name", ".", "..", ".lenet"}) {
    INFO(name);
    REQUIRE_STATUS(CheckNewJobName(name), absl::StatusCode::kInvalidArgument, "begin with a letter, a digit or '_'");
    // Jobs of older versions have such names, and are still found.
    REQUIRE_OK(CheckJobName(name));
  }
  for (const std::string& name : {std::string(), std::string("a/b"), std::string(65, 'x')}) {
    REQUIRE_STATUS(CheckNewJobName(name), absl::StatusCode::kInvalidArgument, "use 1 to 64 letters");
  }
}

}  // namespace samovar
