#include "common/base/backoff.h"

#include <algorithm>

#include "common/base/random.h"

namespace samovar {
namespace {

// 2^20 times the first delay is beyond any largest one that makes sense.
constexpr int kMaxDoublings = 20;

}  // namespace

Backoff::Backoff(absl::Duration first, absl::Duration largest, uint64_t key)
    : first_(first), largest_(largest), key_(DeriveKey(RandomStream::kBackoff, {key})) {}

absl::Duration Backoff::Next() {
  const absl::Duration full = std::min(largest_, first_ * (int64_t{1} << attempt_));
  attempt_ = std::min(attempt_ + 1, kMaxDoublings);
  const float unit = UnitFloat(Philox(key_, 0, drawn_++)[0]);
  return full * (0.5 + 0.5 * unit);
}

}  // namespace samovar
