#include "common/remote/pieces.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

TEST_CASE("each piece is worked on once") {
  std::vector<std::atomic<int>> worked(1000);
  REQUIRE_OK(ForEachPiece(worked.size(), 4, [&](uint64_t piece) {
    ++worked[piece];
    return absl::OkStatus();
  }));
  for (const auto& count : worked) CHECK(count == 1);
  REQUIRE_OK(ForEachPiece(0, 4, [](uint64_t) { return absl::InternalError("none"); }));
}

TEST_CASE("after a failure no piece is begun, and an exception is a failure") {
  std::atomic<int> begun = 0;
  REQUIRE_STATUS(ForEachPiece(1000, 1,
                              [&](uint64_t piece) {
                                ++begun;
                                return piece == 3 ? absl::AbortedError("third") : absl::OkStatus();
                              }),
                 absl::StatusCode::kAborted, "third");
  CHECK(begun == 4);
  REQUIRE_STATUS(ForEachPiece(8, 2, [](uint64_t) -> absl::Status { throw std::runtime_error("thrown"); }),
                 absl::StatusCode::kInternal, "thrown");
}

}  // namespace
}  // namespace samovar
