#include "server/store/apply_threads.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

constexpr size_t kManyQueued = 1 << 20;

TEST_CASE("a lane that rests runs a task at once, on the thread that brings it") {
  ApplyThreads threads(2, kManyQueued);
  std::thread::id ran;
  REQUIRE_OK(threads.RunOrPost(1, [&] { ran = std::this_thread::get_id(); }));
  REQUIRE(ran == std::this_thread::get_id());
}

TEST_CASE("a task that is posted runs on the lane's thread") {
  ApplyThreads threads(1, kManyQueued);
  std::thread::id ran;
  absl::Notification done;
  REQUIRE_OK(threads.Post(0, [&] {
    ran = std::this_thread::get_id();
    done.Notify();
  }));
  done.WaitForNotification();
  REQUIRE(ran != std::this_thread::get_id());
}

TEST_CASE("while a lane is busy tasks queue up, in their order, and other lanes run theirs") {
  ApplyThreads threads(2, kManyQueued);
  absl::Notification begun;
  absl::Notification may_end;
  std::thread holder([&] {
    threads
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
  for (int i = 0; i < 5; ++i) REQUIRE_OK(threads.RunOrPost(0, [&order, i] { order.push_back(i); }));
  REQUIRE_OK(threads.RunOrPost(1, [&] { other_ran = true; }));
  CHECK(order.empty());
  CHECK(other_ran);
  may_end.Notify();
  holder.join();
  threads.Stop();
  REQUIRE(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("a task may bring another to its own lane, which runs after it") {
  ApplyThreads threads(1, kManyQueued);
  std::vector<int> order;
  REQUIRE_OK(threads.RunOrPost(0, [&] {
    threads.RunOrPost(0, [&] { order.push_back(2); }).IgnoreError();
    order.push_back(1);
  }));
  threads.Stop();
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
    ApplyThreads threads(kLanes, kManyQueued);
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
          (i % 3 == 0 ? threads.Post(lane, task) : threads.RunOrPost(lane, task)).IgnoreError();
        }
      });
    }
    for (std::thread& poster : posters) poster.join();
  }
  REQUIRE(overlaps == 0);
  REQUIRE(counts[0] + counts[1] == kPosters * kTasks);
}

TEST_CASE("a full lane refuses all but the server's own tasks, a stopped one refuses these, too") {
  ApplyThreads threads(1, /*max_queued=*/2);
  absl::Notification may_end;
  std::atomic<int> ran = 0;
  absl::Notification begun;
  REQUIRE_OK(threads.Post(0, [&] {
    begun.Notify();
    may_end.WaitForNotification();
  }));
  begun.WaitForNotification();
  REQUIRE_OK(threads.RunOrPost(0, [&] { ++ran; }));
  REQUIRE_OK(threads.Post(0, [&] { ++ran; }));
  CHECK(threads.RunOrPost(0, [&] { ++ran; }).code() == absl::StatusCode::kResourceExhausted);
  CHECK(threads.Post(0, [&] { ++ran; }).code() == absl::StatusCode::kResourceExhausted);
  REQUIRE_OK(threads.PostControl(0, [&] { ++ran; }));
  may_end.Notify();
  threads.Stop();
  // What was queued has run.
  CHECK(ran == 3);
  CHECK(threads.RunOrPost(0, [&] { ++ran; }).code() == absl::StatusCode::kUnavailable);
  CHECK(threads.PostControl(0, [&] { ++ran; }).code() == absl::StatusCode::kUnavailable);
  CHECK(ran == 3);
}

}  // namespace
}  // namespace samovar
