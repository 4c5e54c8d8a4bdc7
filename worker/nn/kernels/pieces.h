// How layers cut their loops. Pieces follow from the problem's size alone, never from the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "common/base/thread_pool.h"

namespace samovar {

// Records that one piece of a loop over records handles. Sums over records are made per piece and then added in piece
// order, so at most 16 partial sums are kept: enough to share among threads, bounded in memory. Small batches make two
// pieces.
inline int RecordsPerPiece(int batch_size) {
  return std::max(std::min(8, (batch_size + 1) / 2), (batch_size + 15) / 16);
}

inline int64_t Pieces(int64_t total, int64_t per_piece) { return (total + per_piece - 1) / per_piece; }

// Runs loops on a pool, or on the caller's thread if there is none.
class Loop {
 public:
  explicit Loop(ThreadPool* pool) : pool_(pool) {}

  int threads() const { return pool_ == nullptr ? 1 : pool_->threads(); }

  // body(begin, end, piece, thread) for each piece [begin, end) of [0, total), each of `per_piece` but the last.
  void Run(int64_t total, int64_t per_piece,
           absl::FunctionRef<void(int64_t begin, int64_t end, int64_t piece, int thread)> body) const {
    const int64_t pieces = Pieces(total, per_piece);
    auto run = [&](int64_t piece, int thread) {
      body(piece * per_piece, std::min(total, (piece + 1) * per_piece), piece, thread);
    };
    if (pool_ != nullptr) return pool_->ParallelFor(pieces, run);
    for (int64_t piece = 0; piece < pieces; ++piece) run(piece, 0);
  }

 private:
  ThreadPool* pool_;
};

}  // namespace samovar
