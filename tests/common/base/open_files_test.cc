#include "common/base/open_files.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

// The result of `body` in a process of its own, whose limits it may change.
int InProcess(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

bool Limit(uint64_t soft, uint64_t hard) {
  const rlimit limit{soft, hard};
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

TEST_CASE("the soft limit of open files becomes the hard one, and too low a one is refused with what is needed") {
  CHECK(InProcess([] {
          rlimit limit;
          return Limit(40, 100) && RaiseOpenFileLimit().ok() && getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
                         limit.rlim_cur == 100
                     ? 0
                     : 1;
        }) == 0);
  CHECK(InProcess([] {
          const absl::Status status = Limit(24, 24) ? RaiseOpenFileLimit() : absl::OkStatus();
          const bool named = absl::StrContains(
              status.message(), "no more than 24 files can be open at a time, and this program needs 64");
          return absl::IsFailedPrecondition(status) && named ? 0 : 1;
        }) == 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST_CASE(
    "a connection that would take one of the last files is closed at once, told, and followed by the next one when "
    "there is room") {
  CHECK(InProcess([] {
          if (!Limit(100, 100) || !RaiseOpenFileLimit().ok()) return 1;
          static uint64_t told = 0;
          OnConnectionRefused([](uint64_t limit) { told += limit; });
          const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
          sockaddr_in address = {};
          address.sin_family = AF_INET;
          address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
          socklen_t length = sizeof(address);
          sockaddr* const name = reinterpret_cast<sockaddr*>(&address);
          if (bind(listener, name, length) != 0 || listen(listener, 100) != 0 ||
              getsockname(listener, name, &length) != 0)
            return 2;
          const auto dial = [&] {
            const int socket_number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            return connect(socket_number, name, length) == 0 ? socket_number : -1;
          };
          // Files are held until connections would get one of the last.
          std::vector<int> held;
          while (held.empty() || held.back() + 2 < static_cast<int>(100 - kFilesBesideConnections))
            held.push_back(dup(listener));
          const int first = dial();
          const int refused = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
          if (first < 0 || refused >= 0 || errno != EINTR || told != 100) return 3;
          char byte;
          if (read(first, &byte, 1) > 0) return 4;
          // Nobody else waits.
          if (accept4(listener, nullptr, nullptr, SOCK_CLOEXEC) >= 0 || errno != EAGAIN) return 5;
          for (const int file : held) close(file);
          const int second = dial();
          return second >= 0 && accept4(listener, nullptr, nullptr, SOCK_CLOEXEC) >= 0 ? 0 : 6;
        }) == 0);
}

#endif

}  // namespace samovar
