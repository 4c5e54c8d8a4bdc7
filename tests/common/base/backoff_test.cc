#include "common/base/backoff.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "tests/support/catch.h"

namespace samovar {
namespace {

const absl::Duration kFirst = absl::Milliseconds(100);
const absl::Duration kLargest = absl::Seconds(3);

std::vector<absl::Duration> Draw(Backoff* backoff, int count) {
  std::vector<absl::Duration> delays;
  for (int i = 0; i < count; ++i) delays.push_back(backoff->Next());
  return delays;
}

TEST_CASE("delays double from the first to the largest, each between half of that and all of it") {
  Backoff backoff(kFirst, kLargest, 1);
  absl::Duration full = kFirst;
  for (const absl::Duration delay : Draw(&backoff, 30)) {
    CHECK(delay >= full / 2);
    CHECK(delay < full);
    full = std::min(kLargest, full * 2);
  }
}

TEST_CASE("after very many failures the delay is still the largest") {
  Backoff backoff(absl::Nanoseconds(1), absl::Hours(1), 1);
  const absl::Duration last = Draw(&backoff, 1000).back();
  // 2^20 ns: doubling ends there, and does not overflow.
  CHECK(last >= absl::Nanoseconds(1 << 19));
  CHECK(last <= absl::Nanoseconds(1 << 20));
}

TEST_CASE("after a success the delays begin anew") {
  Backoff backoff(kFirst, kLargest, 1);
  Draw(&backoff, 10);
  backoff.Reset();
  CHECK(backoff.Next() < kFirst);
  CHECK(backoff.Next() >= kFirst);
}

TEST_CASE("peers with different keys return at different moments") {
  std::set<absl::Duration> firsts;
  for (uint64_t key = 0; key < 100; ++key) firsts.insert(Backoff(kFirst, kLargest, key).Next());
  CHECK(firsts.size() > 90);
}

TEST_CASE("the jitter is drawn anew after a reset") {
  Backoff backoff(kFirst, kFirst, 1);
  std::set<absl::Duration> delays;
  for (int i = 0; i < 20; ++i) {
    delays.insert(backoff.Next());
    backoff.Reset();
  }
  CHECK(delays.size() > 10);
}

TEST_CASE("the same key gives the same delays") {
  Backoff one(kFirst, kLargest, 5), other(kFirst, kLargest, 5);
  CHECK(Draw(&one, 8) == Draw(&other, 8));
}

TEST_CASE("a first delay that is the largest does not grow") {
  Backoff backoff(kFirst, kFirst, 2);
  for (const absl::Duration delay : Draw(&backoff, 10)) CHECK(delay <= kFirst);
}

}  // namespace
}  // namespace samovar
