#include "common/base/thread_pool.h"

namespace samovar {

ThreadPool::ThreadPool(int threads) {
  for (int thread = 1; thread < threads; ++thread) {
    helpers_.emplace_back([this, thread] { HelperLoop(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::ParallelFor(int64_t pieces, absl::FunctionRef<void(int64_t, int)> body) {
  if (helpers_.empty() || pieces <= 1) {
    for (int64_t piece = 0; piece < pieces; ++piece) body(piece, 0);
    return;
  }
  {
    absl::MutexLock lock(&mu_);
    body_ = &body;
    next_piece_ = 0;
    pieces_ = pieces;
    ++loop_;
  }
  RunPieces(body, 0);
  // Wakes when the last helper has left the loop; helpers end by themselves, since pieces are finite.
  mu_.LockWhen(absl::Condition(
      +[](int* busy) { return *busy == 0; }, &busy_helpers_));
  body_ = nullptr;
  mu_.Unlock();
}

void ThreadPool::RunPieces(const absl::FunctionRef<void(int64_t, int)>& body, int thread) {
  while (true) {
    int64_t piece;
    {
      absl::MutexLock lock(&mu_);
      if (next_piece_ >= pieces_) return;
      piece = next_piece_++;
    }
    body(piece, thread);
  }
}

void ThreadPool::HelperLoop(int thread) {
  uint64_t joined = 0;
  while (true) {
    const absl::FunctionRef<void(int64_t, int)>* body;
    {
      auto ready = [this, joined]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || (body_ != nullptr && loop_ != joined);
      };
      mu_.LockWhen(absl::Condition(&ready));
      if (stopping_) {
        mu_.Unlock();
        return;
      }
      joined = loop_;
      body = body_;
      ++busy_helpers_;
      mu_.Unlock();
    }
    RunPieces(*body, thread);
    absl::MutexLock lock(&mu_);
    --busy_helpers_;
  }
}

}  // namespace samovar
