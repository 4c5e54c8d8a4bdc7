#include "cli/doctor/check_storage.h"

#include <fstream>

#include "absl/strings/match.h"
#include "cli/doctor/finding.h"
#include "tests/support/catch.h"
#include "tests/support/http_server.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using Level = Finding::Level;

TEST_CASE("a directory that can be listed is well, and one that is to be written to may not be there yet") {
  const TempDir dir;
  const StorageTable storage;
  std::ofstream(dir.File("x")) << "x";
  CHECK(CheckStorage(dir.path(), false, storage).fact == dir.path() + " can be listed: 1 entries");
  CHECK(CheckStorage(dir.File("home"), true, storage).level == Level::kOk);
  const Finding missing = CheckStorage(dir.File("home"), false, storage);
  CHECK(missing.level == Level::kWrong);
  CHECK(absl::StrContains(missing.fact, "cannot be listed"));
}

TEST_CASE("a place that refuses what is written there is wrong") {
  const TempDir dir;
  std::ofstream(dir.File("file")) << "x";
  CHECK(CheckStorage(dir.File("file"), true, StorageTable()).level == Level::kWrong);
}

TEST_CASE("the clock of a web server is compared with this machine's") {
  HttpServer server([](const HttpServer::Request& request) {
    HttpServer::Response response;
    response.status = 403;
    const std::vector<std::string> date = {"Date: Tue, 01 Jan 2030 00:00:00 GMT"};
    if (request.method == "HEAD") response.headers = date;
    return response;
  });
  const auto off = StorageClockOffset(server.url() + "/data/set");
  REQUIRE(off.has_value());
  const absl::Time there = absl::FromCivil(absl::CivilSecond(2030, 1, 1), absl::UTCTimeZone());
  CHECK(absl::AbsDuration(*off - (absl::Now() - there)) < absl::Minutes(5));
  CHECK_FALSE(StorageClockOffset("/data/set").has_value());
}

TEST_CASE("a date of HTTP is read, and nothing else") {
  const auto time = ParseHttpDate("Mon, 30 Nov 2026 02:30:00 GMT");
  REQUIRE(time.has_value());
  CHECK(*time == absl::FromCivil(absl::CivilSecond(2026, 11, 30, 2, 30, 0), absl::UTCTimeZone()));
  CHECK_FALSE(ParseHttpDate("2026-11-30").has_value());
  CHECK_FALSE(ParseHttpDate("").has_value());
}

TEST_CASE("a finding is a line for people, and an object for programs") {
  const Finding wrong = Wrong("port of the server", "7401 is held\nby another", "end it");
  CHECK(FindingLine(wrong) == "wrong    port of the server: 7401 is held\\nby another; end it");
  CHECK(FindingLine(Ok("CPU", "v3")) == "ok       CPU: v3");
  CHECK(FindingJson(Warning("CPU", "v2", "\"x\"")) == R"({"level":"warning","what":"CPU","fact":"v2","todo":"\"x\""})");
}

}  // namespace
}  // namespace samovar
