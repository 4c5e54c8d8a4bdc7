#include "common/telemetry/recent_log.h"

#include <string>

#include "common/telemetry/log.h"
#include "common/telemetry/repeat_filter.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// What is written of the text, which comes at these seconds.
int Written(RepeatFilter* filter, const std::string& text, std::initializer_list<double> seconds) {
  int written = 0;
  for (const double second : seconds) written += filter->Take(LogWeight::kWarning, text, At(second)) ? 1 : 0;
  return written;
}

}  // namespace

TEST_CASE("the newest lines of a log are kept, and numbers tell which are missing") {
  RecentLog log;
  for (int i = 1; i <= 1500; ++i) log.Add(LogWeight::kInfo, std::to_string(i), At(i));
  const std::vector<LoggedLine> all = log.After(0);
  REQUIRE(all.size() == RecentLog::kMaxLines);
  CHECK(all.front().number == 501);
  CHECK(all.back().text == "1500");
  CHECK(log.After(1498).size() == 2);
  CHECK(log.After(1500).empty());
}

TEST_CASE("long lines of a log leave room for few, and a line that is too long is cut") {
  RecentLog log;
  for (int i = 0; i < 300; ++i) log.Add(LogWeight::kError, std::string(10'000, 'x'), At(i));
  size_t bytes = 0;
  for (const LoggedLine& line : log.After(0)) bytes += line.text.size();
  CHECK(bytes <= RecentLog::kMaxBytes);
  CHECK(log.After(0).front().text.size() < RecentLog::kMaxTextBytes + 100);
  // A reader that takes little has the newest, and never nothing.
  CHECK(log.After(0, 1).size() == 1);
  CHECK(log.After(0, 1)[0].number == 300);
}

TEST_CASE("a text that comes again and again is written three times, and its count is told once a minute") {
  RepeatFilter filter;
  CHECK(Written(&filter, "disk full", {0, 1, 2, 3, 4, 30}) == 3);
  CHECK(filter.TakeDue(At(59)).empty());
  const std::vector<RepeatFilter::Told> told = filter.TakeDue(At(60));
  REQUIRE(told.size() == 1);
  CHECK(told[0].text == "3 times more in 60 s: disk full");
  CHECK(told[0].weight == LogWeight::kWarning);
  // It goes on: not written again, but counted.
  CHECK(Written(&filter, "disk full", {61, 62, 80}) == 0);
  REQUIRE(filter.TakeDue(At(125)).size() == 1);
  // A minute of rest, and it is news again.
  CHECK(filter.TakeDue(At(190)).empty());
  CHECK(Written(&filter, "disk full", {200}) == 1);
}

TEST_CASE("other texts are not held back by one that comes again and again") {
  RepeatFilter filter;
  CHECK(Written(&filter, "a", {0, 0, 0, 0, 0}) == 3);
  for (int i = 0; i < 1000; ++i) CHECK(filter.Take(LogWeight::kInfo, std::to_string(i), At(1)));
  // Counts of texts that had to make room are told all the same.
  REQUIRE(!filter.TakeDue(At(2)).empty());
}

TEST_CASE("what a process logs can be read again, printable and without what its level leaves out") {
  REQUIRE_OK(InitLogging({"test", "warning"}));
  const std::vector<LoggedLine> before = ProcessLog().After(0);
  const uint64_t newest = before.empty() ? 0 : before.back().number;
  LogInfo("not this");
  LogWarning("bytes \xff\x1b[2J\nof a peer");
  for (int i = 0; i < 10; ++i) LogError("the same");
  const std::vector<LoggedLine> lines = ProcessLog().After(newest);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].text == "bytes \\xff\\x1b[2J\\nof a peer");
  CHECK(lines[0].weight == LogWeight::kWarning);
  CHECK(lines[3].text == "the same");
}

}  // namespace samovar
