#include "worker/feed/batch_prefetcher.h"

#include <algorithm>
#include <utility>

#include "common/base/exceptions.h"
#include "common/base/status_macros.h"

namespace samovar {

BatchPrefetcher::BatchPrefetcher(std::unique_ptr<NetFeed> feed) : feed_(std::move(feed)) {
  if (feed_ == nullptr) return;
  for (const size_t elements : feed_->BatchElements()) buffers_.emplace_back(elements);
  tops_.assign(buffers_.begin(), buffers_.end());
  thread_ = std::thread([this] { FillLoop(); });
}

BatchPrefetcher::~BatchPrefetcher() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void BatchPrefetcher::Start(uint64_t t, uint32_t batch) {
  if (feed_ == nullptr) return;
  const BatchId id(t, batch);
  absl::MutexLock lock(&mu_);
  if (held_ == id) return;
  held_ = id;
  wanted_ = id;
}

absl::StatusOr<ShapesByLayer> BatchPrefetcher::AwaitShapes(uint64_t t, uint32_t batch) {
  Start(t, batch);
  absl::MutexLock lock(&mu_);
  Await();
  if (!status_.ok()) {
    held_.reset();
    return status_;
  }
  return shapes_;
}

absl::Status BatchPrefetcher::Fill(const BatchId& batch) {
  if (!feed_->adapts()) return feed_->FillIteration(batch.first, batch.second, tops_);
  SAMOVAR_ASSIGN_OR_RETURN(shapes_, feed_->AdaptToIteration(batch.first, batch.second));
  const std::vector<size_t> elements = feed_->BatchElements();
  for (size_t i = 0; i < elements.size(); ++i) buffers_[i].resize(elements[i]);
  tops_.assign(buffers_.begin(), buffers_.end());
  return feed_->FillIteration(batch.first, batch.second, tops_);
}

absl::Status BatchPrefetcher::Take(uint64_t t, uint32_t batch, std::span<const std::span<float>> tops) {
  Start(t, batch);
  absl::MutexLock lock(&mu_);
  Await();
  held_.reset();
  SAMOVAR_RETURN_IF_ERROR(status_);
  const auto same_size = [](std::span<float> a, std::span<float> b) { return a.size() == b.size(); };
  if (!std::equal(tops.begin(), tops.end(), tops_.begin(), tops_.end(), same_size)) {
    return absl::InternalError("a batch was asked for in another size than it is fed in");
  }
  for (size_t i = 0; i < tops.size(); ++i) std::copy(tops_[i].begin(), tops_[i].end(), tops[i].begin());
  return absl::OkStatus();
}

void BatchPrefetcher::FillLoop() {
  for (;;) {
    BatchId batch;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &BatchPrefetcher::WantedLocked));
      if (stopping_) return;
      batch = *wanted_;
      wanted_.reset();
      filling_ = true;
    }
    absl::Status status = CatchExceptions([&] { return Fill(batch); });
    absl::MutexLock lock(&mu_);
    filling_ = false;
    status_ = std::move(status);
  }
}

}  // namespace samovar
