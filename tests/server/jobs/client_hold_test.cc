#include "server/jobs/client_hold.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(absl::Duration time) { return absl::UnixEpoch() + time; }
const absl::Duration kAlmost = ClientHold::kPatience - absl::Nanoseconds(1);

TEST_CASE("snapshots are held until training has waited for the client for too long, and then no more") {
  ClientHold hold(true);
  CHECK_FALSE(hold.GivesUp(true, At(absl::ZeroDuration())));
  CHECK_FALSE(hold.GivesUp(true, At(kAlmost)));
  CHECK(hold.holds());
  CHECK(hold.GivesUp(true, At(ClientHold::kPatience)));
  CHECK_FALSE(hold.holds());
}

TEST_CASE("a client that fetches something, or for which nothing waits, has all its time again") {
  for (const bool fetches : {true, false}) {
    ClientHold hold(true);
    CHECK_FALSE(hold.GivesUp(true, At(absl::ZeroDuration())));
    if (fetches) {
      hold.Fetched();
    } else {
      CHECK_FALSE(hold.GivesUp(false, At(kAlmost)));
    }
    CHECK_FALSE(hold.GivesUp(true, At(ClientHold::kPatience)));
    CHECK_FALSE(hold.GivesUp(true, At(ClientHold::kPatience + kAlmost)));
    CHECK(hold.GivesUp(true, At(2 * ClientHold::kPatience)));
  }
}

TEST_CASE("a job without a client holds nothing") { CHECK_FALSE(ClientHold(false).holds()); }

TEST_CASE("three snapshots that are not fetched are as many as may be") {
  CHECK_FALSE(ClientHold::IsFull(2));
  CHECK(ClientHold::IsFull(3));
}

}  // namespace
}  // namespace samovar
