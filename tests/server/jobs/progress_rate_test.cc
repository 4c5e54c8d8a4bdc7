#include "server/jobs/progress_rate.h"

#include <cmath>

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TEST_CASE("the rate is that of the last ten seconds, and 0 five seconds after the last iteration") {
  ProgressRate rate;
  rate.Begin(0, At(0));
  CHECK(rate.Now(At(1)) == 0);
  // 10 a second for a minute, then 20.
  uint64_t done = 0;
  for (int i = 1; i <= 600; ++i) rate.Count(done += 1, At(i * 0.1));
  CHECK(rate.Now(At(60)) == Approx(10).epsilon(0.05));
  for (int i = 1; i <= 240; ++i) rate.Count(done += 2, At(60 + i * 0.1));
  CHECK(rate.Now(At(84)) == Approx(20).epsilon(0.05));
  CHECK(rate.Mean(At(84)) == Approx(1080.0 / 84).epsilon(0.01));
  // It stands still.
  CHECK(rate.Now(At(87)) < 20);
  CHECK(rate.Now(At(88.9)) == 0);
  CHECK(rate.SecondsFor(100, At(88.9)) == 0);
  CHECK(rate.last() == At(84));
  // It goes on.
  for (int i = 1; i <= 120; ++i) rate.Count(done += 1, At(100 + i * 0.1));
  CHECK(rate.Now(At(112)) == Approx(10).epsilon(0.05));
}

TEST_CASE("iterations that take long have a rate all the same") {
  ProgressRate rate;
  rate.Begin(0, At(0));
  for (uint64_t i = 1; i <= 5; ++i) rate.Count(i, At(30.0 * static_cast<double>(i)));
  // One every 30 s; the next is under way.
  CHECK(rate.Now(At(150)) == Approx(1 / 30.0).epsilon(0.01));
  CHECK(rate.Now(At(175)) == Approx(1 / 30.0).epsilon(0.01));
  CHECK(rate.Now(At(200)) < 1 / 30.0);
  CHECK(rate.Now(At(200)) > 0);
  CHECK(rate.Now(At(211)) == 0);
}

TEST_CASE("the time that is left is steady where the rate trembles") {
  // Between 50 and 150 a second, in waves of 7 s: a run of ten minutes.
  ProgressRate rate;
  rate.Begin(0, At(0));
  const double total = 60000;
  double done = 0;
  double worst = 0;
  std::vector<std::pair<double, double>> told;
  double t = 0;
  while (done < total) {
    t += 0.25;
    done += 0.25 * (100 + 50 * std::sin(t * 2 * 3.14159265 / 7));
    rate.Count(static_cast<uint64_t>(done), At(t));
    if (t > 60) told.emplace_back(t, rate.SecondsFor(static_cast<uint64_t>(std::max(0.0, total - done)), At(t)));
  }
  for (const auto& [when, left] : told) {
    if (t - when < 10) continue;
    worst = std::max(worst, std::abs(left - (t - when)) / (t - when));
  }
  CHECK(worst < 0.2);
}

TEST_CASE("a change of the rate is known after some time, and the memory stays small") {
  ProgressRate rate;
  rate.Begin(0, At(0));
  uint64_t done = 0;
  for (int i = 1; i <= 4000; ++i) rate.Count(done += 4, At(i));
  for (int i = 4001; i <= 5000; ++i) rate.Count(done += 1, At(i));
  // The last ten minutes count.
  CHECK(rate.SecondsFor(1000, At(5000)) == Approx(1000).epsilon(0.02));
}

TEST_CASE("iterations that were lost are no progress, and no rate is below 0") {
  ProgressRate rate;
  rate.Begin(100, At(0));
  for (uint64_t i = 1; i <= 100; ++i) rate.Count(100 + i, At(0.1 * static_cast<double>(i)));
  rate.TakeBack(150);
  CHECK(rate.Now(At(10)) == Approx(10).epsilon(0.05));
  CHECK(rate.Mean(At(10)) == Approx(5).epsilon(0.05));
  for (uint64_t i = 1; i <= 10; ++i) rate.Count(150 + i, At(10 + 0.1 * static_cast<double>(i)));
  CHECK(rate.Now(At(11)) == Approx(10).epsilon(0.05));
}

}  // namespace
}  // namespace samovar
