#include "server/jobs/event_log.h"

#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

absl::Time At(int64_t seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TEST_CASE("errors that repeat are counted, and do not push others out") {
  EventLog log;
  log.Add(v1::JobEvent::KIND_STATE, "submitted", At(1));
  for (int i = 0; i < 2000; ++i) {
    log.Add(v1::JobEvent::KIND_WORKER, absl::StrCat("worker w1: iteration ", i, ": cannot read record ", 7 * i), At(i));
  }
  const std::vector<v1::JobEvent> events = log.After(0);
  REQUIRE(events.size() == 4);
  CHECK(events[0].text() == "submitted");
  CHECK(events[3].text() == "worker w1: iteration 2: cannot read record 14");
  CHECK(events[3].repeats() == 1997);
  CHECK(events[3].last_unix_ms() == 1999000);
  CHECK(log.newest() == 4);
  // Another worker's is another error; what is told of the job itself is never counted.
  log.Add(v1::JobEvent::KIND_WORKER, "worker other: iteration 5: cannot read record 3", At(2000));
  CHECK(log.newest() == 5);
  for (int i = 0; i < 5; ++i) log.Add(v1::JobEvent::KIND_SNAPSHOT, absl::StrCat("snapshot at iteration ", i), At(2001));
  CHECK(log.newest() == 10);
}

TEST_CASE("an error that comes back much later is listed again") {
  EventLog log;
  for (int i = 0; i < 10; ++i) log.Add(v1::JobEvent::KIND_WORKER, "worker w: fails", At(i));
  CHECK(log.newest() == 3);
  for (int i = 0; i < 50; ++i) log.Add(v1::JobEvent::KIND_STATE, absl::StrCat("state ", i), At(20));
  log.Add(v1::JobEvent::KIND_WORKER, "worker w: fails", At(30));
  CHECK(log.After(0).back().text() == "worker w: fails");
  CHECK(log.After(0).back().repeats() == 0);
}

}  // namespace
}  // namespace samovar
