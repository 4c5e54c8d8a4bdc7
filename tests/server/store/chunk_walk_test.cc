#include "server/store/chunk_walk.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/server/store/test_job.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// Three chunks in two lanes: 0 and 2 in one, 1 in the other.
struct Fixture {
  Fixture() {
    auto created = HostedJob::Create(MakeJob(), &budget);
    REQUIRE_OK(created);
    job = *std::move(created);
  }

  // Ends with the lanes' tasks.
  std::vector<size_t> Waited() {
    std::vector<std::atomic<int>> visits(kChunks);
    VisitWaits(job, &lanes, [&](WatermarkWaits& waits) {
      for (size_t i = 0; i < kChunks; ++i) visits[i] += &waits == &job->waits(i);
    });
    lanes.Stop();
    std::vector<size_t> visited;
    for (size_t i = 0; i < kChunks; ++i) visited.insert(visited.end(), static_cast<size_t>(visits[i]), i);
    return visited;
  }

  MemoryBudget budget{std::numeric_limits<uint64_t>::max(), "parameters", ""};
  std::shared_ptr<HostedJob> job;
  // Of tasks that others post, none may wait: a walk is none of those.
  Lanes lanes{2, 0};
};

TEST_CASE_METHOD(Fixture, "a walk visits each chunk once, on its lane's thread, and returns when all are done") {
  std::vector<std::thread::id> threads(kChunks);
  std::vector<std::atomic<int>> visits(kChunks);
  std::atomic<bool> wrong_chunk = false;
  REQUIRE_OK(WalkChunks(job, &lanes, [&](size_t index, Chunk& chunk) {
    ++visits[index];
    threads[index] = std::this_thread::get_id();
    if (&chunk != &job->chunk(index)) wrong_chunk = true;
    return absl::OkStatus();
  }));
  for (const std::atomic<int>& count : visits) CHECK(count == 1);
  CHECK_FALSE(wrong_chunk);
  CHECK(threads[0] == threads[2]);
  CHECK(threads[0] != threads[1]);
  CHECK(std::find(threads.begin(), threads.end(), std::this_thread::get_id()) == threads.end());
}

TEST_CASE_METHOD(Fixture, "what others post in a lane comes between two chunks of a walk") {
  std::vector<int> order;
  REQUIRE_OK(WalkChunks(job, &lanes, [&](size_t index, Chunk&) {
    if (index == 1) return absl::OkStatus();
    order.push_back(static_cast<int>(index));
    return index == 0 ? lanes.PostControl(0, [&order] { order.push_back(100); }) : absl::OkStatus();
  }));
  CHECK(order == std::vector<int>{0, 100, 2});
}

TEST_CASE_METHOD(Fixture, "an error ends the walk in its lane, and is returned when the other lanes are done") {
  std::vector<std::atomic<int>> visits(kChunks);
  const bool throws = GENERATE(false, true);
  const absl::Status walked = WalkChunks(job, &lanes, [&](size_t index, Chunk&) {
    ++visits[index];
    if (index != 0) return absl::OkStatus();
    if (throws) throw std::bad_alloc();
    return absl::ResourceExhaustedError("no room for the first");
  });
  CHECK(walked.code() == absl::StatusCode::kResourceExhausted);
  CHECK(visits[0] == 1);
  CHECK(visits[1] == 1);
  CHECK(visits[2] == 0);
  // The lanes go on.
  REQUIRE_OK(WalkChunks(job, &lanes, [](size_t, Chunk&) { return absl::OkStatus(); }));
}

TEST_CASE_METHOD(Fixture, "lanes that have ended are walked no more, and visit no waits") {
  lanes.Stop();
  std::atomic<int> visits = 0;
  CHECK(absl::IsUnavailable(WalkChunks(job, &lanes, [&](size_t, Chunk&) {
    ++visits;
    return absl::OkStatus();
  })));
  CHECK(visits == 0);
  CHECK(Waited().empty());
}

TEST_CASE_METHOD(Fixture, "the waits of each chunk are visited once, in time, while the caller goes on") {
  absl::Notification may_go;
  REQUIRE_OK(lanes.PostControl(0, [&] { may_go.WaitForNotification(); }));
  // It returns though lane 0 is busy.
  VisitWaits(job, &lanes, [](WatermarkWaits&) {});
  may_go.Notify();
  CHECK(Waited() == std::vector<size_t>{0, 1, 2});
}

TEST_CASE_METHOD(Fixture, "what the visit of one chunk's waits throws keeps no other from being visited") {
  std::atomic<int> visits = 0;
  VisitWaits(job, &lanes, [&](WatermarkWaits&) {
    ++visits;
    throw std::bad_alloc();
  });
  lanes.Stop();
  CHECK(visits == static_cast<int>(kChunks));
}

}  // namespace
}  // namespace samovar
