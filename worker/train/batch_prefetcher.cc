#include "worker/train/batch_prefetcher.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"

namespace samovar {

BatchPrefetcher::BatchPrefetcher(std::unique_ptr<BatchFeed> feed, size_t values, size_t labels)
    : feed_(std::move(feed)), data_(values), labels_(labels) {
  thread_ = std::thread([this] { FillLoop(); });
}

BatchPrefetcher::~BatchPrefetcher() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void BatchPrefetcher::Start(uint64_t t) {
  absl::MutexLock lock(&mu_);
  if (held_ == t) return;
  held_ = t;
  wanted_ = t;
}

absl::Status BatchPrefetcher::Take(uint64_t t, std::span<float> data, std::span<float> labels) {
  Start(t);
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &BatchPrefetcher::IdleLocked));
  held_.reset();
  SAMOVAR_RETURN_IF_ERROR(status_);
  if (data.size() != data_.size() || labels.size() != labels_.size()) {
    return absl::InternalError("a batch was asked for in another size than it is fed in");
  }
  std::copy(data_.begin(), data_.end(), data.begin());
  std::copy(labels_.begin(), labels_.end(), labels.begin());
  return absl::OkStatus();
}

void BatchPrefetcher::FillLoop() {
  for (;;) {
    uint64_t t = 0;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &BatchPrefetcher::WantedLocked));
      if (stopping_) return;
      t = *wanted_;
      wanted_.reset();
      filling_ = true;
    }
    absl::Status status = feed_->FillIteration(t, data_, labels_);
    absl::MutexLock lock(&mu_);
    filling_ = false;
    status_ = std::move(status);
  }
}

}  // namespace samovar
