#include "common/storage/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/read_file.h"
#include "common/base/stopper.h"

namespace samovar {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(100);

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "an unknown host";
}

// The text that the holder has written; it may have got no further than taking the lock.
std::string HolderIn(int fd) {
  char text[256];
  const ssize_t read = pread(fd, text, sizeof(text), 0);
  if (read <= 0) return "another process";
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text, static_cast<size_t>(read))));
}

}  // namespace

absl::StatusOr<DirectoryLock> DirectoryLock::Take(const std::string& directory, absl::Duration patience,
                                                  absl::FunctionRef<std::string(const std::string& holder)> refusal) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "make the directory", directory);
  const std::string path = absl::StrCat(directory, "/lock");
  DirectoryLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0) return ErrnoStatus(errno, "open", path);
  // A process that was killed, or whose parent was, may need a moment to be gone.
  const Stopper never;
  const absl::Time deadline = SteadyNow() + patience;
  while (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
    if (SteadyNow() >= deadline) return absl::FailedPreconditionError(refusal(HolderIn(lock.fd_)));
    never.WaitFor(kPause);
  }
  // For people only: a full disk does not keep a process from starting.
  const std::string holder = absl::StrCat("pid ", getpid(), " on ", HostName());
  if (ftruncate(lock.fd_, 0) == 0 && pwrite(lock.fd_, holder.data(), holder.size(), 0) < 0) errno = 0;
  return lock;
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace samovar
