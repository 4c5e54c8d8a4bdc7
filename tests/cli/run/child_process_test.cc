#include "cli/run/child_process.h"

#include <signal.h>

#include <fstream>
#include <iterator>
#include <string>

#include "common/base/clock.h"
#include "tests/cli/script.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// Long enough for any machine; nothing waits for it unless a test fails.
constexpr absl::Duration kLong = absl::Seconds(60);

// Starts scripts, and waits for what they do.
class Nursery {
 public:
  absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const std::string& lines, bool reports_ready = true) {
    WriteScript(dir_.File("program"), lines);
    return ChildProcess::Start(
        {"child", dir_.File("program"), {"one", "two words"}, reports_ready, dir_.File("log"), &waker_});
  }

  void AwaitEnd(const ChildProcess& child) {
    const absl::Time deadline = SteadyNow() + kLong;
    while (!child.ended() && SteadyNow() < deadline) waker_.Wait(deadline);
    REQUIRE(child.ended());
  }

  std::string Log() const {
    std::ifstream file(dir_.File("log"));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  Waker& waker() { return waker_; }
  const TempDir& dir() const { return dir_; }

 private:
  TempDir dir_;
  Waker waker_;
};

bool Never() { return false; }

}  // namespace

TEST_CASE("a child reports that it is ready, and is ended by a signal") {
  Nursery nursery;
  auto child = nursery.Start(std::string("echo 127.0.0.1:7100 >&3; exec 3>&-\n") + kStay);
  REQUIRE_OK(child);
  const auto line = (*child)->AwaitReady(SteadyNow() + kLong, Never);
  REQUIRE_OK(line);
  CHECK(*line == "127.0.0.1:7100");
  CHECK_FALSE((*child)->ended());
  CHECK((*child)->DescribeEnd() == "running");
  (*child)->Signal(SIGTERM);
  nursery.AwaitEnd(**child);
  CHECK((*child)->DescribeEnd() == "signal 15 (Terminated)");
  // Has nobody to reach any more.
  (*child)->Signal(SIGKILL);
}

TEST_CASE("a child gets its arguments and the ready descriptor, and both its outputs go to the log") {
  Nursery nursery;
  auto child = nursery.Start("for word in \"$@\"; do echo \"[$word]\"; done; echo to stderr >&2; echo ok >&3\n");
  REQUIRE_OK(child);
  REQUIRE_OK((*child)->AwaitReady(SteadyNow() + kLong, Never));
  CHECK(nursery.Log() == "[one]\n[two words]\n[--ready-fd]\n[3]\nto stderr\n");
}

TEST_CASE("a child that ends before it is ready is described with the last line of its log") {
  Nursery nursery;
  auto child = nursery.Start("echo first; echo 'no such coordinator'; echo; exit 7\n");
  REQUIRE_OK(child);
  const auto line = (*child)->AwaitReady(SteadyNow() + kLong, Never);
  REQUIRE_STATUS(line, absl::StatusCode::kUnavailable, "child ended with exit code 7 before it was ready");
  REQUIRE_STATUS(line, absl::StatusCode::kUnavailable, "ends with: no such coordinator");
}

TEST_CASE("waiting for readiness ends at the deadline") {
  Nursery nursery;
  auto child = nursery.Start(kStay);
  REQUIRE_OK(child);
  const auto line = (*child)->AwaitReady(SteadyNow(), Never);
  REQUIRE_STATUS(line, absl::StatusCode::kDeadlineExceeded, "child does not get ready; its log is");
}

TEST_CASE("waiting for readiness ends when the user interrupts") {
  Nursery nursery;
  auto child = nursery.Start(kStay);
  REQUIRE_OK(child);
  nursery.waker().Notify();
  REQUIRE_STATUS((*child)->AwaitReady(SteadyNow() + kLong, [] { return true; }), absl::StatusCode::kCancelled,
                 "interrupted");
}

TEST_CASE("a child that runs is killed with its object, whatever it does about SIGTERM") {
  Nursery nursery;
  auto child = nursery.Start(std::string("trap '' TERM; echo ok >&3; exec 3>&-\n") + kStay);
  REQUIRE_OK(child);
  REQUIRE_OK((*child)->AwaitReady(SteadyNow() + kLong, Never));
  const pid_t pid = (*child)->pid();
  child->reset();
  CHECK(kill(pid, 0) != 0);
}

TEST_CASE("a program that is not there is an error that names it") {
  const TempDir dir;
  const auto child = ChildProcess::Start({"child", dir.File("missing"), {}, true, dir.File("log"), nullptr});
  REQUIRE_STATUS(child, absl::StatusCode::kNotFound, dir.File("missing"));
}

TEST_CASE("the last line of a log is the last that says something") {
  const TempDir dir;
  CHECK(LastLine(dir.File("missing")).empty());
  std::ofstream(dir.File("log")) << std::string(10000, 'x') << "\nlast words\n\n  \n";
  CHECK(LastLine(dir.File("log")) == "last words");
}

}  // namespace samovar
