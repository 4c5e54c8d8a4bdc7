#include "server/leases/suspects.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

constexpr uint64_t kAnna = 1;
constexpr uint64_t kBoris = 2;

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TEST_CASE("a worker that was late is left out for a while, which doubles each time") {
  Suspects suspects;
  CHECK_FALSE(suspects.Rests(kAnna, At(0)));
  CHECK(suspects.Add(kAnna, At(0)));
  CHECK(suspects.Rests(kAnna, At(1.9)));
  CHECK_FALSE(suspects.Rests(kAnna, At(2)));
  CHECK_FALSE(suspects.Rests(kBoris, At(1)));
  CHECK_FALSE(suspects.Add(kAnna, At(10)));
  CHECK(suspects.Rests(kAnna, At(13.9)));
  CHECK_FALSE(suspects.Rests(kAnna, At(14)));
  for (int i = 0; i < 100; ++i) suspects.Add(kAnna, At(20));
  CHECK(suspects.Rests(kAnna, At(79)));
  CHECK_FALSE(suspects.Rests(kAnna, At(80)));
}

TEST_CASE("a lease that was granted before a worker was late does not clear it, one from after it does") {
  Suspects suspects;
  suspects.Add(kAnna, At(10));
  suspects.Clear(kAnna, At(9));
  CHECK(suspects.Rests(kAnna, At(11)));
  suspects.Clear(kAnna, At(12));
  CHECK_FALSE(suspects.Rests(kAnna, At(11)));
  CHECK(suspects.Add(kAnna, At(20)));
  suspects.Clear(kAnna);
  CHECK_FALSE(suspects.Rests(kAnna, At(20)));
}

}  // namespace
}  // namespace samovar
