#include "common/base/exceptions.h"

#include <new>
#include <stdexcept>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("what is thrown becomes a status, and what is returned stays") {
  CHECK(CatchExceptions([] { return absl::OkStatus(); }).ok());
  REQUIRE_STATUS(CatchExceptions([] { return absl::NotFoundError("mine"); }), absl::StatusCode::kNotFound, "mine");
  REQUIRE_STATUS(CatchExceptions([]() -> absl::Status { throw std::bad_alloc(); }),
                 absl::StatusCode::kResourceExhausted, "out of memory");
  REQUIRE_STATUS(CatchExceptions([]() -> absl::Status { throw std::out_of_range("index 7"); }),
                 absl::StatusCode::kInternal, "index 7");
  REQUIRE_STATUS(CatchExceptions([]() -> absl::Status { throw 1; }), absl::StatusCode::kInternal, "unexpected");
}

}  // namespace
}  // namespace samovar
