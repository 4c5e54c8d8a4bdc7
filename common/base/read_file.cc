#include "common/base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

absl::Status CheckFile(int fd, const std::string& path, uint64_t max_bytes) {
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, "read", path);
  if (S_ISDIR(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is a directory; name a file"));
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  if (static_cast<uint64_t>(info.st_size) > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has ", info.st_size, " bytes; at most ", max_bytes, " can be read"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ErrnoStatus(int error, absl::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", doing, " ", path));
}

absl::StatusOr<int> OpenForReading(const std::string& path, uint64_t max_bytes) {
  // Not blocking: the name may be that of a pipe that nobody writes to.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoStatus(errno, "read", path);
  if (absl::Status status = CheckFile(fd, path, max_bytes); !status.ok()) {
    close(fd);
    return status;
  }
  return fd;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, OpenForReading(path, max_bytes));
  const absl::Cleanup close_file = [fd] { close(fd); };
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, "read", path);
  std::string bytes;
  // As much as the loop below asks for, so that nothing is copied while it grows.
  constexpr size_t kPiece = 64 << 10;
  bytes.reserve(static_cast<size_t>(info.st_size) + kPiece);
  // The file may grow while it is read, and then is no file that one wants to read.
  while (bytes.size() <= max_bytes) {
    const size_t done = bytes.size();
    bytes.resize(done + kPiece);
    const ssize_t got = read(fd, bytes.data() + done, kPiece);
    bytes.resize(done + static_cast<size_t>(got > 0 ? got : 0));
    if (got == 0) return bytes;
    if (got < 0 && errno != EINTR) return ErrnoStatus(errno, "read", path);
  }
  return absl::InvalidArgumentError(absl::StrCat(path, " grew beyond ", max_bytes, " bytes while it was read"));
}

}  // namespace samovar
