// BatchPrefetcher fills the next iteration's batch on a thread of its own while the worker computes.
//
// Thread safety: Start and Take on one thread. Its thread alone uses the feed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "worker/feed/batch_feed.h"

namespace samovar {

class BatchPrefetcher {
 public:
  // `values` and `labels`: lengths of a batch in floats; labels may be 0.
  BatchPrefetcher(std::unique_ptr<BatchFeed> feed, size_t values, size_t labels);
  // Waits for a batch that is being filled.
  ~BatchPrefetcher();
  BatchPrefetcher(const BatchPrefetcher&) = delete;
  BatchPrefetcher& operator=(const BatchPrefetcher&) = delete;

  // Begins to fill the batch of iteration t, unless it is there. Replaces one that was not taken. Does not block.
  void Start(uint64_t t);
  // The batch of iteration t; waits until it is filled (as long as the disk takes), beginning now if Start(t) did not.
  // Errors of the feed.
  absl::Status Take(uint64_t t, std::span<float> data, std::span<float> labels);

 private:
  void FillLoop();
  bool WantedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || wanted_.has_value(); }
  bool IdleLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !filling_ && !wanted_.has_value(); }

  const std::unique_ptr<BatchFeed> feed_;

  absl::Mutex mu_;
  // To be filled next, and whether one is being filled.
  std::optional<uint64_t> wanted_ ABSL_GUARDED_BY(mu_);
  bool filling_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // What the buffers hold, or are being filled with.
  std::optional<uint64_t> held_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);

  // Belong to the thread while filling_, else to the caller of Take.
  std::vector<float> data_;
  std::vector<float> labels_;

  std::thread thread_;
};

}  // namespace samovar
