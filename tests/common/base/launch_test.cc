#include "common/base/launch.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("readiness is one line, and then the end of the pipe") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  CHECK(ReportReady(ends[1], "127.0.0.1:7100").ok());
  char text[64] = {};
  const ssize_t bytes = read(ends[0], text, sizeof text);
  CHECK(std::string(text, static_cast<size_t>(bytes)) == "127.0.0.1:7100\n");
  CHECK(read(ends[0], text, sizeof text) == 0);
  close(ends[0]);
}

TEST_CASE("a process that nobody waits for has nothing to report") { CHECK(ReportReady(-1, "ok").ok()); }

TEST_CASE("a descriptor that cannot be written to is named") {
  const int fd = open("/dev/null", O_RDONLY);
  REQUIRE(fd >= 0);
  const absl::Status status = ReportReady(fd, "ok");
  CHECK_FALSE(status.ok());
  CHECK(absl::StrContains(status.message(), absl::StrCat("descriptor ", fd)));
}

}  // namespace
}  // namespace samovar
