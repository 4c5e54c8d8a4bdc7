// BatchPrefetcher fills the next batch on a thread of its own while the worker computes.
//
// Thread safety: Start and Take on one thread. Its thread alone uses the feed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "worker/feed/net_feed.h"

namespace samovar {

class BatchPrefetcher {
 public:
  // `feed` may be null: then all batches are empty, without tops.
  explicit BatchPrefetcher(std::unique_ptr<NetFeed> feed);
  // Waits for a batch that is being filled.
  ~BatchPrefetcher();
  BatchPrefetcher(const BatchPrefetcher&) = delete;
  BatchPrefetcher& operator=(const BatchPrefetcher&) = delete;

  // Begins to fill the batch number `batch` of iteration t, unless it is there. Replaces one that was not taken. Does
  // not block.
  void Start(uint64_t t, uint32_t batch);
  // The shapes of that batch's records, of a feed that adapts; waits as Take does, which is to follow. Errors of the
  // feed.
  absl::StatusOr<ShapesByLayer> AwaitShapes(uint64_t t, uint32_t batch);
  bool adapts() const { return feed_ != nullptr && feed_->adapts(); }
  // That batch; waits until it is filled (as long as the disk takes), beginning now if Start did not. `tops`: one span
  // a top of the feed. Errors of the feed.
  absl::Status Take(uint64_t t, uint32_t batch, std::span<const std::span<float>> tops);

 private:
  // Iteration, and number of the batch in it.
  using BatchId = std::pair<uint64_t, uint32_t>;

  void FillLoop();
  // The feed's batch, into buffers_.
  absl::Status Fill(const BatchId& batch);
  void Await() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { mu_.Await(absl::Condition(this, &BatchPrefetcher::IdleLocked)); }
  bool WantedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || wanted_.has_value(); }
  bool IdleLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !filling_ && !wanted_.has_value(); }

  const std::unique_ptr<NetFeed> feed_;

  absl::Mutex mu_;
  // To be filled next, and whether one is being filled.
  std::optional<BatchId> wanted_ ABSL_GUARDED_BY(mu_);
  bool filling_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // The batch that the buffers hold, or are being filled with.
  std::optional<BatchId> held_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);

  // Belong to the thread while filling_, else to the caller of Take.
  std::vector<std::vector<float>> buffers_;  // one a top
  std::vector<std::span<float>> tops_;       // the buffers
  ShapesByLayer shapes_;                     // of a feed that adapts: those of the records in the buffers

  std::thread thread_;
};

}  // namespace samovar
