#include "common/base/launch.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/printable.h"

namespace samovar {

void EndWithParent() {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  // It may have died in between; an orphan's parent is another process. One that died before the first line shows when
  // ReportReady finds nobody.
  if (getppid() != parent) raise(SIGTERM);
}

absl::Status ReportReady(int fd, absl::string_view text) {
  if (fd < 0) return absl::OkStatus();
  const std::string line = absl::StrCat(text, "\n");
  const bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const absl::Status status =
      written ? absl::OkStatus()
              : absl::ErrnoToStatus(errno, absl::StrCat("cannot report readiness on descriptor ", fd));
  close(fd);
  return status;
}

absl::Status NotifyManager(absl::string_view lines) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return absl::OkStatus();
  const size_t length = std::strlen(path);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if ((*path != '/' && *path != '@') || length >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET is \"", path, "\", which is no address of a socket"));
  }
  std::memcpy(address.sun_path, path, length);
  // An abstract socket's name begins with a zero byte, and is as long as the address says.
  if (*path == '@') address.sun_path[0] = '\0';
  const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);

  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool sent =
      fd >= 0 && sendto(fd, lines.data(), lines.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                        reinterpret_cast<const sockaddr*>(&address), size) == static_cast<ssize_t>(lines.size());
  const absl::Status status =
      sent ? absl::OkStatus() : absl::ErrnoToStatus(errno, absl::StrCat("cannot notify the service manager at ", path));
  if (fd >= 0) close(fd);
  return status;
}

void FollowStatus(const Stopper& stopper, absl::Duration interval, absl::FunctionRef<std::string()> text) {
  std::string told;
  while (!stopper.WaitFor(interval)) {
    if (std::getenv("NOTIFY_SOCKET") == nullptr) continue;
    // One that cannot be told now is told with the next change: the program is none the worse for it.
    const std::string now = Printable(text());
    if (now != told && NotifyManager(absl::StrCat("STATUS=", now)).ok()) told = now;
  }
}

}  // namespace samovar
