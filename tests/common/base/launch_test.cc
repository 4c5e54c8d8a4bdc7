#include "common/base/launch.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// A service manager's end: a socket that NOTIFY_SOCKET names while this lives.
class Manager {
 public:
  // "/path", or "@name" for an abstract one.
  explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    setenv("NOTIFY_SOCKET", name.c_str(), /*overwrite=*/1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }

  // The oldest message not read yet; "" if there is none.
  std::string Next() {
    char text[256];
    const ssize_t bytes = recv(fd_, text, sizeof text, 0);
    return bytes < 0 ? "" : std::string(text, static_cast<size_t>(bytes));
  }

 private:
  const int fd_;
};

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

TEST_CASE("a service manager hears each message whole, in order") {
  const TempDir dir;
  for (const std::string& name : {dir.File("notify"), absl::StrCat("@samovar-launch-test-", getpid())}) {
    INFO(name);
    Manager manager(name);
    CHECK(NotifyManager("READY=1\nSTATUS=serves at 127.0.0.1:7400").ok());
    CHECK(NotifyManager("STOPPING=1").ok());
    CHECK(manager.Next() == "READY=1\nSTATUS=serves at 127.0.0.1:7400");
    CHECK(manager.Next() == "STOPPING=1");
    CHECK(manager.Next() == "");
  }
}

TEST_CASE("without a service manager there is nobody to notify") {
  unsetenv("NOTIFY_SOCKET");
  CHECK(NotifyManager("READY=1").ok());
}

TEST_CASE("a service manager that cannot be reached is named") {
  for (const std::string& name :
       {std::string("/nonexistent/notify"), std::string("notify"), "/" + std::string(200, 'x')}) {
    INFO(name);
    setenv("NOTIFY_SOCKET", name.c_str(), /*overwrite=*/1);
    const absl::Status status = NotifyManager("READY=1");
    unsetenv("NOTIFY_SOCKET");
    CHECK_FALSE(status.ok());
    CHECK(absl::StrContains(status.message(), name));
  }
}

TEST_CASE("the manager's line follows the program's, and is sent when it is another") {
  const TempDir dir;
  Manager manager(dir.File("notify"));
  Stopper stopper;
  const std::vector<std::string> texts = {"waits", "waits", "2 jobs", "2 jobs\nREADY=1", "2 jobs"};
  size_t next = 0;
  FollowStatus(stopper, absl::Milliseconds(1), [&] {
    if (next + 1 == texts.size()) stopper.Stop();
    return texts[next++];
  });
  CHECK(next == texts.size());
  CHECK(manager.Next() == "STATUS=waits");
  CHECK(manager.Next() == "STATUS=2 jobs");
  // A text is no message of its own.
  CHECK(manager.Next() == "STATUS=2 jobs\\nREADY=1");
  CHECK(manager.Next() == "STATUS=2 jobs");
  CHECK(manager.Next() == "");
}

TEST_CASE("without a manager nobody asks what the line is") {
  unsetenv("NOTIFY_SOCKET");
  Stopper stopper;
  std::thread stop([&] { stopper.Stop(); });
  FollowStatus(stopper, absl::Milliseconds(1), []() -> std::string { throw std::logic_error("asked"); });
  stop.join();
}

}  // namespace
}  // namespace samovar
