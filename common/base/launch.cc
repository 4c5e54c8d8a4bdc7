#include "common/base/launch.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

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
      written ? absl::OkStatus() : absl::ErrnoToStatus(errno, absl::StrCat("cannot report readiness on descriptor ", fd));
  close(fd);
  return status;
}

}  // namespace samovar
