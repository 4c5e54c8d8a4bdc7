// ThreadPool runs the pieces of one loop on a fixed number of threads.
//
// Results must not depend on the number of threads: callers cut work into pieces by the problem's size alone, and each piece
// writes to memory of its own.
//
// Thread safety: ParallelFor may be called from one thread at a time.
#pragma once

#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace samovar {

class ThreadPool {
 public:
  // The caller of ParallelFor is one of the threads, so `threads` - 1 are started. REQUIRES: threads >= 1
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  // Calls body(piece, thread) for every piece in [0, pieces), thread in [0, threads()), and returns when all are done.
  // Blocks. Must not be called from within a body.
  void ParallelFor(int64_t pieces, absl::FunctionRef<void(int64_t piece, int thread)> body);

 private:
  void HelperLoop(int thread);
  void RunPieces(const absl::FunctionRef<void(int64_t, int)>& body, int thread) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  // The loop being run; null between loops. Raised by one at each loop so that a helper joins each loop once.
  const absl::FunctionRef<void(int64_t, int)>* body_ ABSL_GUARDED_BY(mu_) = nullptr;
  uint64_t loop_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t next_piece_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t pieces_ ABSL_GUARDED_BY(mu_) = 0;
  int busy_helpers_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> helpers_;
};

}  // namespace samovar
