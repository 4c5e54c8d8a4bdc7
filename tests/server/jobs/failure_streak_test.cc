#include "server/jobs/failure_streak.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(absl::Duration time) { return absl::UnixEpoch() + time; }

TEST_CASE("a row of failures gives up with the last that it may have, once its time has passed") {
  FailureStreak streak;
  for (int i = 1; i < FailureStreak::kMaxInARow; ++i) {
    CHECK_FALSE(streak.Add(At(FailureStreak::kPatience)).gives_up);
    CHECK(streak.count() == i);
  }
  // Enough of them, but all at once.
  CHECK_FALSE(streak.Add(At(FailureStreak::kPatience)).gives_up);
  CHECK_FALSE(streak.Add(At(2 * FailureStreak::kPatience - absl::Nanoseconds(1))).gives_up);
  CHECK(streak.Add(At(2 * FailureStreak::kPatience)).gives_up);
}

TEST_CASE("a long row of few failures does not give up") {
  FailureStreak streak;
  for (int i = 1; i < FailureStreak::kMaxInARow; ++i)
    CHECK_FALSE(streak.Add(At(i * FailureStreak::kPatience)).gives_up);
  CHECK(streak.Add(At(FailureStreak::kMaxInARow * FailureStreak::kPatience)).gives_up);
}

TEST_CASE("work that was done ends the row, and the time counts from the next failure") {
  FailureStreak streak;
  for (int i = 0; i < FailureStreak::kMaxInARow; ++i) streak.Add(At(absl::ZeroDuration()));
  streak.End();
  CHECK(streak.count() == 0);
  for (int i = 0; i < FailureStreak::kMaxInARow; ++i) CHECK_FALSE(streak.Add(At(FailureStreak::kPatience)).gives_up);
  CHECK(streak.Add(At(2 * FailureStreak::kPatience)).gives_up);
}

TEST_CASE("the first failure of a row is told, and that of another row only after a while") {
  FailureStreak streak;
  CHECK(streak.Add(At(absl::ZeroDuration())).is_told);
  CHECK_FALSE(streak.Add(At(2 * FailureStreak::kNewsEvery)).is_told);
  FailureStreak other;
  CHECK(other.Add(At(absl::ZeroDuration())).is_told);
  other.End();
  CHECK_FALSE(other.Add(At(FailureStreak::kNewsEvery - absl::Nanoseconds(1))).is_told);
  other.End();
  CHECK(other.Add(At(FailureStreak::kNewsEvery)).is_told);
}

}  // namespace
}  // namespace samovar
