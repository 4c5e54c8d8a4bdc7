// Delays between retries: doubling from a first to a largest one, each drawn from [half of it, all of it) so that peers
// which failed together do not return together.
//
// Thread safety: none; one user at a time.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace samovar {

class Backoff {
 public:
  // The key chooses the jitter; give different users different keys (a pid, an id). REQUIRES: 0 < first <= largest
  Backoff(absl::Duration first, absl::Duration largest, uint64_t key);

  // The next delay.
  absl::Duration Next();

  // After a success: the next delay is of the first size again.
  void Reset() { attempt_ = 0; }

 private:
  const absl::Duration first_;
  const absl::Duration largest_;
  const uint64_t key_;
  uint64_t drawn_ = 0;
  int attempt_ = 0;
};

}  // namespace samovar
