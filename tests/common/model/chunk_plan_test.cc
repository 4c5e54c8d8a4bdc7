#include "common/model/chunk_plan.h"

#include <set>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr uint64_t kLeNet = 431080;

TEST_CASE("chunks cover the vector once, in order, and each lives at one server") {
  for (uint32_t servers : {1u, 2u, 3u, 7u}) {
    const auto plan = ChunkPlan::Create(kLeNet, 5 << 10, servers);
    REQUIRE_OK(plan);
    uint64_t next = 0;
    for (uint32_t chunk = 0; chunk < plan->chunks(); ++chunk) {
      CHECK(plan->begin(chunk) == next);
      CHECK(plan->size(chunk) > 0);
      next += plan->size(chunk);
    }
    CHECK(next == kLeNet);

    std::set<uint32_t> dealt;
    for (uint32_t server = 0; server < servers; ++server) {
      for (uint32_t chunk : plan->ChunksOf(server)) {
        CHECK(plan->server_of(chunk) == server);
        CHECK(dealt.insert(chunk).second);
      }
    }
    CHECK(dealt.size() == plan->chunks());
  }
}

TEST_CASE("the chosen size gives every apply thread several chunks and stays within its limits") {
  CHECK(ChunkPlan::ChooseChunkElements(1, 1) == ChunkPlan::kMinChunkElements);
  CHECK(ChunkPlan::ChooseChunkElements(uint64_t{1} << 40, 1) == ChunkPlan::kMaxChunkElements);
  for (uint32_t threads : {1u, 2u, 4u, 8u, 16u}) {
    const uint32_t size = ChunkPlan::ChooseChunkElements(kLeNet, threads);
    CHECK(size % 1024 == 0);
    const auto plan = ChunkPlan::Create(kLeNet, size, threads);
    REQUIRE_OK(plan);
    CHECK(plan->chunks() >= 3 * threads);
  }
}

TEST_CASE("a plan that makes no sense is refused") {
  REQUIRE_STATUS(ChunkPlan::Create(0, 4096, 1), absl::StatusCode::kInvalidArgument, "");
  REQUIRE_STATUS(ChunkPlan::Create(10, 4096, 0), absl::StatusCode::kInvalidArgument, "");
  REQUIRE_STATUS(ChunkPlan::Create(10, 1, 1), absl::StatusCode::kInvalidArgument, "1");
  REQUIRE_STATUS(ChunkPlan::Create(10, 1 << 30, 1), absl::StatusCode::kInvalidArgument, "");
}

}  // namespace
}  // namespace samovar
