#include "server/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/stopper.h"

namespace samovar {
namespace {

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "an unknown host";
}

constexpr int kTries = 20;
constexpr absl::Duration kPause = absl::Milliseconds(100);

// The text that the holder has written; it may have got no further than taking the lock.
std::string HolderIn(int fd) {
  char text[256];
  const ssize_t read = pread(fd, text, sizeof(text), 0);
  return read > 0 ? std::string(text, static_cast<size_t>(read)) : "another process";
}

}  // namespace

absl::StatusOr<StateLock> StateLock::Take(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create directory ", directory, ": ", error.message()));
  const std::string path = absl::StrCat(directory, "/lock");
  StateLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0) return absl::UnavailableError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  // A server that was killed, or whose parent was, may need a moment to be gone.
  const Stopper never;
  for (int tries = 0; flock(lock.fd_, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno == EWOULDBLOCK && tries < kTries) {
      never.WaitFor(kPause);
      continue;
    }
    if (errno != EWOULDBLOCK)
      return absl::UnavailableError(absl::StrCat("cannot lock ", path, ": ", std::strerror(errno)));
    return absl::FailedPreconditionError(
        absl::StrCat("the state directory ", directory, " is in use by ", HolderIn(lock.fd_),
                     "; end that server first, or give this one a directory of its own (--state)"));
  }
  // For people only: a full disk does not keep a server from starting.
  const std::string holder = absl::StrCat("pid ", getpid(), " on ", HostName());
  if (ftruncate(lock.fd_, 0) == 0 && pwrite(lock.fd_, holder.data(), holder.size(), 0) < 0) errno = 0;
  return lock;
}

StateLock::StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

StateLock::~StateLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace samovar
