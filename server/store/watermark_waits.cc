#include "server/store/watermark_waits.h"

#include <utility>

namespace samovar {

void WatermarkWaits::Add(uint64_t stage, absl::Time deadline, Resume resume) {
  if (!ended_.ok()) return resume(ended_);
  waits_.emplace(stage, Wait{deadline, std::move(resume)});
}

void WatermarkWaits::Reached(uint64_t stage) {
  while (!waits_.empty() && waits_.begin()->first <= stage) {
    const auto first = waits_.extract(waits_.begin());
    first.mapped().resume(absl::OkStatus());
  }
}

void WatermarkWaits::Expire(absl::Time now) {
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    if (wait->second.deadline > now) {
      ++wait;
      continue;
    }
    const Resume resume = std::move(wait->second.resume);
    wait = waits_.erase(wait);
    resume(absl::DeadlineExceededError("the chunk is not there yet"));
  }
}

void WatermarkWaits::End(const absl::Status& reason) {
  ended_ = reason;
  for (auto& [stage, wait] : std::exchange(waits_, {})) wait.resume(reason);
}

}  // namespace samovar
