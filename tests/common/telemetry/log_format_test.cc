#include "common/telemetry/log_format.h"

#include <string>

#include "common/base/utf8.h"
#include "common/telemetry/deferred_log.h"
#include "common/telemetry/log.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

LogEvent Event(const std::string& text) {
  LogEvent event;
  event.time = absl::FromUnixMillis(1'769'860'800'250);
  event.level = "warning";
  event.host = "node-1";
  event.process = "worker";
  event.pid = 4711;
  event.text = text;
  return event;
}

TEST_CASE("a line for people has UTC time, weight, host, process and what is known of the event") {
  LogEvent event = Event("goes on trying");
  CHECK(LogText(event) == "2026-01-31T12:00:00.250Z W node-1 worker[4711]: goes on trying");
  event.member = {"worker", "rack 1, left"};
  event.fields = {"lenet", 1200};
  CHECK(LogText(event) ==
        "2026-01-31T12:00:00.250Z W node-1 worker[4711] worker=\"rack 1, left\" job=lenet iteration=1200: goes on "
        "trying");
}

TEST_CASE("a line for programs is one JSON object with the same") {
  LogEvent event = Event("a \"quoted\"\tword \\ of the log");
  CHECK(LogJson(event) ==
        R"({"time":"2026-01-31T12:00:00.250Z","level":"warning","host":"node-1","process":"worker","pid":4711,)"
        R"("message":"a \"quoted\"\u0009word \\ of the log"})");
  event = Event("x");
  event.member = {"server", "127.0.0.1:7401"};
  event.fields = {"lenet", 0};
  CHECK(LogJson(event) ==
        R"({"time":"2026-01-31T12:00:00.250Z","level":"warning","host":"node-1","process":"worker","pid":4711,)"
        R"("server":"127.0.0.1:7401","job":"lenet","iteration":0,"message":"x"})");
}

TEST_CASE("garbage in an event leaves a line of UTF-8") {
  LogEvent event = Event(std::string("\xff\xfe\0 \xc3\x28\n\x1b[2J", 11));
  event.host += '\xff';
  event.member = {"worker", "\xff\n"};
  event.fields = {"\xc3"};
  CHECK(IsUtf8(LogJson(event)));
  CHECK(LogJson(event).find('\n') == std::string::npos);
  CHECK(LogJson(event).find("\\ufffd\\ufffd\\u0000 \\ufffd(\\u000a\\u001b[2J") != std::string::npos);
  // The text of a line for people has gone through Printable.
  event.text.clear();
  CHECK(IsUtf8(LogText(event)));
  CHECK(LogText(event).find('\n') == std::string::npos);
}

TEST_CASE("a text that begins with its job is about that job, unless the scope says another") {
  CHECK(LogText(Event("job lenet: snapshot failed")) ==
        "2026-01-31T12:00:00.250Z W node-1 worker[4711] job=lenet: job lenet: snapshot failed");
  CHECK(LogText(Event("job lenet FAILED: no disk")).find(" job=lenet: ") != std::string::npos);
  CHECK(LogText(Event("jobs could not be saved: x")).find("job=") == std::string::npos);
  CHECK(LogText(Event("job")).find("job=") == std::string::npos);
  LogEvent event = Event("job lenet: x");
  event.fields = {"other"};
  CHECK(LogText(event).find("job=other: ") != std::string::npos);
}

TEST_CASE("a scope's fields are those of its thread's lines, and end with it") {
  CHECK(CurrentLogFields().job.empty());
  {
    const LogScope outer({"lenet", 7});
    CHECK(CurrentLogFields().job == "lenet");
    {
      const LogScope inner({"other"});
      CHECK(CurrentLogFields().job == "other");
      CHECK_FALSE(CurrentLogFields().iteration.has_value());
    }
    CHECK(CurrentLogFields().iteration == 7u);
  }
  CHECK(CurrentLogFields().job.empty());
}

TEST_CASE("an unknown format of the log is refused by name") {
  const absl::Status status = InitLogging({"server", "info", "xml"});
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message() == "unknown log format \"xml\"; there are text and json");
}

}  // namespace
}  // namespace samovar
