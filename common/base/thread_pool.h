// ThreadPool runs the pieces of one loop on a fixed number of threads.
//
// Results must not depend on the number of threads: callers cut work into pieces by the problem's size alone, and each
// piece writes to memory of its own.
//
// Each thread begins with pieces of its own, the same ones in every loop of so many pieces, and then helps the others
// with theirs: so the data of a piece of one layer are mostly read by the thread, and from the cache, that
// wrote them.
//
// A layer's loop takes some ten microseconds, as long as it takes to wake a thread. So a waiting thread, a helper for
// the next loop or the caller for the last piece, looks again and again for a while before it sleeps.
//
// Thread safety: ParallelFor may be called from one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace samovar {

class ThreadPool {
 public:
  // The caller of ParallelFor is one of the threads, so `threads` - 1 are started. REQUIRES: 1 <= threads <= 256
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  // Calls body(piece, thread) for every piece in [0, pieces), thread in [0, threads()), and returns when all are done.
  // A helper that comes too late for a piece is not waited for. Blocks. Must not be called from within a body.
  void ParallelFor(int64_t pieces, absl::FunctionRef<void(int64_t piece, int thread)> body);

 private:
  void HelperLoop(int thread);
  void RunPieces(const absl::FunctionRef<void(int64_t, int)>& body, int thread);

  // Pieces that a thread begins with: from `next`, which each taker raises, to `end`. A cache line of its own.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  // The gate guards body_ and shares_: the loop's number, whether the loop is open to helpers, and how many are inside.
  // Helpers enter an open gate only. body_ and shares_ are written while it is closed and no thread is inside, so a
  // thread that is inside may read them. Numbers repeat after four million loops; a helper that slept so long would
  // miss one loop, at worst.
  static constexpr uint32_t kInside = (1 << 9) - 1;
  static constexpr uint32_t kOpen = 1 << 9;
  static constexpr uint32_t kOneLoop = 1 << 10;

  std::atomic<uint32_t> gate_{0};
  std::atomic<bool> stopping_{false};
  const absl::FunctionRef<void(int64_t, int)>* body_ = nullptr;
  // One entry a thread.
  std::vector<Share> shares_;
  std::vector<std::thread> helpers_;
};

}  // namespace samovar
