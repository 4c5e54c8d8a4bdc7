#include "server/store/lanes.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr size_t kManyQueued = 1 << 20;

TEST_CASE(
    "each chunk belongs to one lane, which comes to it in its turn, and lanes have as many as each other but for one") {
  Lanes lanes(3, kManyQueued);
  constexpr size_t kChunks = 8;
  std::vector<int> lane_of(kChunks, -1);
  for (int lane = 0; lane < lanes.lanes(); ++lane) {
    size_t count = 0;
    for (size_t chunk = lanes.FirstOf(lane); chunk < kChunks; chunk = lanes.NextOf(chunk), ++count) {
      CHECK(lane_of[chunk] == -1);
      lane_of[chunk] = lane;
    }
    CHECK((count == kChunks / 3 || count == kChunks / 3 + 1));
  }
  for (size_t chunk = 0; chunk < kChunks; ++chunk) CHECK(lane_of[chunk] == lanes.LaneOf(chunk));
}

TEST_CASE("a lane that rests runs a task at once, on the thread that brings it") {
  Lanes lanes(2, kManyQueued);
  std::thread::id ran;
  REQUIRE_OK(lanes.RunOrPost(1, [&] { ran = std::this_thread::get_id(); }));
  REQUIRE(ran == std::this_thread::get_id());
}

TEST_CASE("a task that is posted runs on the lane's thread") {
  Lanes lanes(1, kManyQueued);
  std::thread::id ran;
  absl::Notification done;
  REQUIRE_OK(lanes.Post(0, [&] {
    ran = std::this_thread::get_id();
    done.Notify();
  }));
  done.WaitForNotification();
  REQUIRE(ran != std::this_thread::get_id());
}

TEST_CASE("while a lane is busy tasks queue up, in their order, and other lanes run theirs") {
  Lanes lanes(2, kManyQueued);
  absl::Notification begun;
  absl::Notification may_end;
  std::thread holder([&] {
    lanes
        .RunOrPost(0,
                   [&] {
                     begun.Notify();
                     may_end.WaitForNotification();
                   })
        .IgnoreError();
  });
  begun.WaitForNotification();
  std::vector<int> order;
  bool other_ran = false;
  for (int i = 0; i < 5; ++i) REQUIRE_OK(lanes.RunOrPost(0, [&order, i] { order.push_back(i); }));
  REQUIRE_OK(lanes.RunOrPost(1, [&] { other_ran = true; }));
  CHECK(order.empty());
  CHECK(other_ran);
  may_end.Notify();
  holder.join();
  lanes.Stop();
  REQUIRE(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("a task may bring another to its own lane, which runs after it") {
  Lanes lanes(1, kManyQueued);
  std::vector<int> order;
  REQUIRE_OK(lanes.RunOrPost(0, [&] {
    lanes.RunOrPost(0, [&] { order.push_back(2); }).IgnoreError();
    order.push_back(1);
  }));
  lanes.Stop();
  REQUIRE(order == std::vector<int>{1, 2});
}

TEST_CASE("a lane runs one task at a time, whoever brings them") {
  constexpr int kLanes = 2;
  constexpr int kPosters = 4;
  constexpr int kTasks = 20'000;
  // Not atomic: lanes that ran two tasks at a time would lose counts.
  std::vector<int> counts(kLanes, 0);
  std::atomic<int> inside[kLanes] = {};
  std::atomic<int> overlaps = 0;
  {
    Lanes lanes(kLanes, kManyQueued);
    std::vector<std::thread> posters;
    for (int poster = 0; poster < kPosters; ++poster) {
      posters.emplace_back([&, poster] {
        for (int i = 0; i < kTasks; ++i) {
          const int lane = (poster + i) % kLanes;
          const auto task = [&, lane] {
            if (inside[lane].fetch_add(1) != 0) ++overlaps;
            ++counts[static_cast<size_t>(lane)];
            inside[lane].fetch_sub(1);
          };
          (i % 3 == 0 ? lanes.Post(lane, task) : lanes.RunOrPost(lane, task)).IgnoreError();
        }
      });
    }
    for (std::thread& poster : posters) poster.join();
  }
  REQUIRE(overlaps == 0);
  REQUIRE(counts[0] + counts[1] == kPosters * kTasks);
}

TEST_CASE("a full lane refuses all but the server's own tasks, a stopped one refuses these, too") {
  Lanes lanes(1, /*max_queued=*/2);
  absl::Notification may_end;
  std::atomic<int> ran = 0;
  absl::Notification begun;
  REQUIRE_OK(lanes.Post(0, [&] {
    begun.Notify();
    may_end.WaitForNotification();
  }));
  begun.WaitForNotification();
  REQUIRE_OK(lanes.RunOrPost(0, [&] { ++ran; }));
  REQUIRE_OK(lanes.Post(0, [&] { ++ran; }));
  CHECK(lanes.RunOrPost(0, [&] { ++ran; }).code() == absl::StatusCode::kResourceExhausted);
  CHECK(lanes.Post(0, [&] { ++ran; }).code() == absl::StatusCode::kResourceExhausted);
  REQUIRE_OK(lanes.PostControl(0, [&] { ++ran; }));
  may_end.Notify();
  lanes.Stop();
  // All queued tasks have run.
  CHECK(ran == 3);
  CHECK(lanes.RunOrPost(0, [&] { ++ran; }).code() == absl::StatusCode::kUnavailable);
  CHECK(lanes.PostControl(0, [&] { ++ran; }).code() == absl::StatusCode::kUnavailable);
  CHECK(ran == 3);
}

}  // namespace
}  // namespace samovar
