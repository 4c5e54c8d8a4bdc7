#include "server/coordinator/member_logs.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

MemberLogs::Lines Lines(uint64_t first, const std::vector<std::string>& texts) {
  MemberLogs::Lines lines;
  for (const std::string& text : texts) {
    v1::LogLine* const line = lines.Add();
    line->set_number(first++);
    line->set_text(text);
  }
  return lines;
}

std::vector<std::string> Texts(const v1::ProcessLogPart& part) {
  std::vector<std::string> texts;
  for (const v1::LogLine& line : part.lines()) texts.push_back(line.text());
  return texts;
}

v1::GetProcessLogRequest OfWorker(const std::string& worker, uint32_t lines = 0) {
  v1::GetProcessLogRequest request;
  request.set_worker(worker);
  request.set_lines(lines);
  return request;
}

v1::GetProcessLogRequest OfServer(const std::string& server) {
  v1::GetProcessLogRequest request;
  request.set_server(server);
  return request;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("lines of a member that come again are kept once, and a reader gets each once") {
  MemberLogs logs;
  logs.TakeWorker(12, "w3", Lines(1, {"a", "b"}));
  logs.TakeWorker(12, "w3", Lines(2, {"b", "c"}));
  MemberLogs::Cursor cursor;
  const auto first = logs.Read(OfWorker("w3"), &cursor);
  REQUIRE_OK(first.status());
  CHECK(first->member() == "worker w3 (12)");
  CHECK(Texts(*first) == Strings{"a", "b", "c"});
  CHECK(Texts(*logs.Read(OfWorker("w3"), &cursor)).empty());
  logs.TakeWorker(12, "w3", Lines(4, {"d"}));
  CHECK(Texts(*logs.Read(OfWorker("w3"), &cursor)) == Strings{"d"});
  MemberLogs::Cursor newest;
  CHECK(Texts(*logs.Read(OfWorker("12", 2), &newest)) == Strings{"c", "d"});
  // Later lines are not bounded by the number.
  logs.TakeWorker(12, "w3", Lines(5, {"e", "f", "g"}));
  CHECK(Texts(*logs.Read(OfWorker("12", 2), &newest)) == Strings{"e", "f", "g"});
}

TEST_CASE("a server that begins anew goes on behind the lines of the process before") {
  MemberLogs logs;
  logs.TakeServer("h:1", 77, Lines(1, {"serves", "the disk is full"}));
  logs.TakeServer("h:1", 78, Lines(1, {"serves again"}));
  MemberLogs::Cursor cursor;
  CHECK(Texts(*logs.Read(OfServer("h:1"), &cursor)) == Strings{"serves", "the disk is full", "serves again"});
}

TEST_CASE("the last lines of a worker that is lost are there, and one that is there comes before it") {
  MemberLogs logs;
  logs.TakeWorker(1, "w", Lines(1, {"fails"}));
  logs.NoteLost(1, "has been silent for 6 s");
  MemberLogs::Cursor cursor;
  const auto lost = logs.Read(OfWorker("w"), &cursor);
  REQUIRE_OK(lost.status());
  CHECK(Texts(*lost) == Strings{"fails"});
  CHECK(absl::StartsWith(lost->lost(), "has been silent for 6 s (at 2"));
  logs.TakeWorker(2, "w", Lines(1, {"begins"}));
  logs.TakeWorker(3, "w", Lines(1, {"begins, too"}));
  logs.NoteLost(3, "has left");
  MemberLogs::Cursor again;
  CHECK(Texts(*logs.Read(OfWorker("w"), &again)) == Strings{"begins"});
  MemberLogs::Cursor by_number;
  CHECK(Texts(*logs.Read(OfWorker("1"), &by_number)) == Strings{"fails"});
}

TEST_CASE("of a member that is not known those that there are are listed") {
  MemberLogs logs;
  logs.TakeWorker(1, "w1", {});
  logs.TakeWorker(2, "w2", {});
  logs.NoteLost(2, "has left");
  MemberLogs::Cursor cursor;
  REQUIRE_STATUS(logs.Read(OfWorker("w9"), &cursor).status(), absl::StatusCode::kNotFound,
                 "no worker w9 that this coordinator has heard of; there are: w2 (2), which is lost; w1 (1)");
  REQUIRE_STATUS(logs.Read(OfServer("h:1"), &cursor).status(), absl::StatusCode::kNotFound, "there are: none");
}

TEST_CASE("members' logs are bounded, and hold no bytes that move a cursor") {
  MemberLogs logs;
  for (uint64_t i = 1; i <= 2000; ++i) logs.TakeWorker(1, "w", Lines(i, {std::string(1000, 'x')}));
  logs.TakeWorker(1, "w", Lines(2001, {"\x1b[2Jx\n"}));
  MemberLogs::Cursor cursor;
  const auto part = logs.Read(OfWorker("w"), &cursor);
  REQUIRE_OK(part.status());
  CHECK(part->ByteSizeLong() < MemberLogs::kMaxBytes * 2);
  CHECK(part->lines().rbegin()->text() == "\\x1b[2Jx\\n");
  for (uint64_t id = 2; id < 2 + MemberLogs::kMaxMembers; ++id) logs.TakeWorker(id, "other", {});
  MemberLogs::Cursor forgotten;
  CHECK(!logs.Read(OfWorker("w"), &forgotten).ok());
}

}  // namespace samovar
