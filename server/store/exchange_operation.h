// ExchangeOperation is one ExchangeRequest being worked on: a task for each lane that has chunks of it, and one that
// reads frozen copies. The task that ends last answers.
//
// Thread safety: Start() on one thread; after that the tasks that it posted. A pulled chunk's place in the response is
// written by one task only, and so are those of a chunk's squares and of a push's staleness.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/store/chunk_store.h"

namespace samovar {

class ExchangeOperation : public std::enable_shared_from_this<ExchangeOperation> {
 public:
  // As ChunkStore::Exchange, which outlives this.
  ExchangeOperation(ChunkStore* store, std::shared_ptr<ExchangeCall> call,
                    std::function<void(std::shared_ptr<ExchangeCall>)> done);

  // Throws nothing.
  void Start();

 private:
  // One action for one entry of the request, on the chunk at `index` of the job.
  struct Step {
    enum class Kind { kPush, kApply, kPull, kSquares, kAwait };
    Kind kind;
    int entry;
    size_t index;
  };

  absl::Status Begin();
  absl::Status ReserveRequest();
  // Before anything is pulled of an open job. Chunks that are read from the disk are counted as they come.
  absl::Status ReserveAnswer();
  absl::Status ReserveAnswerBytes(uint64_t bytes);
  // Finds the job; whether anything of the request may be done.
  absl::Status Admit();
  // Bounds the answer's size before anything is put into it.
  absl::Status PrepareResponse();

  // Whether all chunks are awaited before any is pulled. Otherwise an answer full of weights would lie in memory until
  // the last chunk is there. Pushes of the request are applied before.
  bool AwaitsChunks() const;
  // Where the chunks are to be before anything of them is sent.
  uint64_t AwaitedStage() const;
  absl::Status BeginAwaiting();
  bool MayPull() const ABSL_LOCKS_EXCLUDED(mu_);

  // The request's steps, for each lane: pushes before pulls.
  std::vector<std::vector<Step>> DealSteps();
  // Posts a task for each lane that has steps.
  void PostTasks();
  // An exception of a step becomes the error of the request; each step leaves its chunk whole.
  void RunAll(int rank, const std::vector<Step>& steps);
  void Run(const Step& step);
  void Await(const Step& step);
  void Push(int entry, Chunk& chunk);
  void Apply(int entry, Chunk& chunk);
  void Pull(int entry, Chunk& chunk);
  // A pushed gradient; valid until the next is decoded on this thread.
  absl::StatusOr<std::span<const float>> Decode(int entry, const Chunk& chunk) const;

  void PostFrozen();
  void ReadFrozen();
  void Write(int entry, const ChunkImage& image);

  // The place of an entry among all of the request's, so that the first error is the same whichever thread is faster.
  int RankOf(Step::Kind kind, int entry) const {
    return kind == Step::Kind::kPush ? entry : request_.push_size() + entry;
  }
  void Fail(int rank, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  void BeginTask() { tasks_.fetch_add(1, std::memory_order_relaxed); }
  // The last one answers, or goes on with the pulls that were awaited.
  void EndTask();
  void Answer() ABSL_LOCKS_EXCLUDED(mu_);

  ChunkStore* const store_;
  std::shared_ptr<ExchangeCall> call_;
  const std::function<void(std::shared_ptr<ExchangeCall>)> done_;
  const v1::ExchangeRequest& request_;
  v1::ExchangeResponse& response_;
  // Null if only frozen chunks of a job that is not open are asked for.
  std::shared_ptr<HostedJob> job_;

  // Whether the tasks are about the chunks' getting there, and pulls come after them. Changes only between tasks.
  bool awaiting_ = false;
  // Start() itself is one task, and so is each chunk that is awaited.
  std::atomic<int> tasks_{1};
  // Relaxed: read after the last EndTask, which orders it.
  std::atomic<bool> not_yet_{false};
  std::atomic<uint32_t> applied_{0};
  std::atomic<uint32_t> duplicates_{0};

  mutable absl::Mutex mu_;
  int first_error_rank_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<int>::max();
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
