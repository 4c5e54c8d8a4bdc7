#include "common/base/thread_pool.h"

#include <atomic>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a pool has the threads that it was asked for, the caller included") {
  const int threads = GENERATE(1, 2, 5);
  CHECK(ThreadPool(threads).threads() == threads);
}

TEST_CASE("each piece of a loop runs exactly once") {
  const int threads = GENERATE(1, 2, 4);
  const int64_t pieces = GENERATE(0, 1, 2, 3, 64, 1000);
  ThreadPool pool(threads);
  std::vector<std::atomic<int>> runs(static_cast<size_t>(pieces));
  std::atomic<bool> wrong_thread = false;
  pool.ParallelFor(pieces, [&](int64_t piece, int thread) {
    ++runs[static_cast<size_t>(piece)];
    if (thread < 0 || thread >= threads) wrong_thread = true;
  });
  for (const std::atomic<int>& count : runs) CHECK(count == 1);
  CHECK_FALSE(wrong_thread);
}

TEST_CASE(
    "what a piece throws on whatever thread comes out of the loop when all threads are out, and the next loop is as "
    "any") {
  ThreadPool pool(3);
  for (int loop = 0; loop < 50; ++loop) {
    const bool on_helper = loop % 2 == 0;
    std::atomic<bool> helped = false;
    std::atomic<bool> called = false;
    std::atomic<int> inside = 0;
    const auto body = [&](int64_t, int thread) {
      ++inside;
      (thread == 0 ? called : helped) = true;
      // The caller waits for a helper, or helpers for the caller, so that the one that is to throw has a piece.
      while (!(on_helper ? helped : called)) std::this_thread::yield();
      --inside;
      if ((thread != 0) == on_helper) throw std::runtime_error("a piece is wrong");
    };
    CHECK_THROWS_WITH(pool.ParallelFor(64, body), "a piece is wrong");
    CHECK(inside == 0);
    std::atomic<int> pieces = 0;
    pool.ParallelFor(100, [&](int64_t, int) { ++pieces; });
    CHECK(pieces == 100);
  }
}

TEST_CASE("what the pieces wrote can be read after the loop") {
  // Plain ints: a sanitizer would report a loop that returns before its pieces are done.
  ThreadPool pool(4);
  std::vector<int> values(257, 0);
  for (int loop = 1; loop <= 200; ++loop) {
    pool.ParallelFor(static_cast<int64_t>(values.size()),
                     [&](int64_t piece, int) { values[static_cast<size_t>(piece)] += loop; });
  }
  for (const int value : values) CHECK(value == 200 * 201 / 2);
}

TEST_CASE("all threads work on one loop at the same time") {
  // Each piece waits for the others: with fewer threads than pieces this would never end.
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  absl::Barrier barrier(kThreads);
  absl::Mutex mu;
  std::set<int> numbers;
  std::set<std::thread::id> ids;
  std::atomic<int> last = 0;
  pool.ParallelFor(kThreads, [&](int64_t, int thread) {
    if (barrier.Block()) ++last;
    absl::MutexLock lock(&mu);
    numbers.insert(thread);
    ids.insert(std::this_thread::get_id());
  });
  CHECK(numbers == std::set<int>{0, 1, 2, 3});
  CHECK(ids.size() == kThreads);
  CHECK(last == 1);
}

TEST_CASE("a single piece runs on the calling thread") {
  ThreadPool pool(3);
  std::thread::id runner;
  pool.ParallelFor(1, [&](int64_t, int thread) {
    runner = std::this_thread::get_id();
    CHECK(thread == 0);
  });
  CHECK(runner == std::this_thread::get_id());
}

TEST_CASE("a pool can be used from different threads, one after the other") {
  ThreadPool pool(2);
  std::atomic<int> runs = 0;
  std::thread other([&] { pool.ParallelFor(10, [&](int64_t, int) { ++runs; }); });
  other.join();
  pool.ParallelFor(10, [&](int64_t, int) { ++runs; });
  CHECK(runs == 20);
}

TEST_CASE("a pool that was never used ends") {
  for (int i = 0; i < 50; ++i) ThreadPool pool(3);
}

}  // namespace
}  // namespace samovar
