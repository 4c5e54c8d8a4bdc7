#include "common/caffe/write_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/paths.h"
#include "common/caffe/read_message.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"

namespace samovar {
namespace {

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// So that a rename in it outlives a crash of the machine.
absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", directory);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // Some file systems cannot, and need not.
  return error == 0 || error == EINVAL ? absl::OkStatus() : ErrnoStatus(error, "synchronise", directory);
}

// A name beside `path` that nobody else uses.
std::string TemporaryName(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(path, ".", getpid(), ".", counter.fetch_add(1, std::memory_order_relaxed), ".tmp");
}

}  // namespace

absl::Status CannotWrite(const std::string& path, const absl::Status& status) {
  const std::string context = absl::StrCat("cannot write ", path);
  return absl::StartsWith(status.message(), context) ? status : Annotate(status, context);
}

absl::Status WriteAll(const std::string& path, absl::string_view bytes, int fd) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return ErrnoStatus(errno, "write", path);
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, const std::function<absl::Status(int fd)>& write) {
  SAMOVAR_RETURN_IF_ERROR(LocalPath(path).status());
  const std::string directory = DirectoryOf(path);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "make the directory", directory);

  const std::string temporary = TemporaryName(path);
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "write", temporary);
  absl::Cleanup remove = [&temporary] { unlink(temporary.c_str()); };
  const absl::Status written = write(fd);
  if (close(fd) != 0 && written.ok()) return ErrnoStatus(errno, "write", path);
  SAMOVAR_RETURN_IF_ERROR(written);
  SAMOVAR_RETURN_IF_ERROR(PublishFile(temporary, path));
  std::move(remove).Cancel();
  return absl::OkStatus();
}

absl::Status PublishFile(const std::string& written, const std::string& path) {
  const int fd = open(written.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", written);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return ErrnoStatus(error, "write", path);
  if (rename(written.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "write", path);
  return SyncDirectory(DirectoryOf(path));
}

absl::Status WriteBytesAtomically(const std::string& path, absl::string_view bytes) {
  return WriteFileAtomically(path, [&](int fd) { return WriteAll(path, bytes, fd); });
}

absl::Status WriteMessageAtomically(const std::string& path, const google::protobuf::MessageLite& message) {
  if (!message.IsInitialized()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", path, ": it lacks ", message.InitializationErrorString()));
  }
  if (message.ByteSizeLong() > kMaxMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": it has ", message.ByteSizeLong(),
                                                   " bytes, and the format at most ", kMaxMessageBytes,
                                                   "; a name that ends with .h5 makes it HDF5"));
  }
  return WriteFileAtomically(path, [&](int fd) {
    google::protobuf::io::FileOutputStream output(fd);
    if (message.SerializeToZeroCopyStream(&output) && output.Flush()) return absl::OkStatus();
    return ErrnoStatus(output.GetErrno() != 0 ? output.GetErrno() : EIO, "write", path);
  });
}

}  // namespace samovar
