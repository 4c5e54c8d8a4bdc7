#include "server/jobs/failure_streak.h"

namespace samovar {

FailureStreak::Outcome FailureStreak::Add(absl::Time now) {
  Outcome outcome;
  if (count_ == 0) first_ = now;
  outcome.is_told = count_ == 0 && now - told_ >= kNewsEvery;
  if (outcome.is_told) told_ = now;
  outcome.gives_up = ++count_ >= kMaxInARow && now - first_ >= kPatience;
  return outcome;
}

}  // namespace samovar
