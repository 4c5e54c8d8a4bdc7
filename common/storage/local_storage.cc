#include "common/storage/local_storage.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/storage/paths.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

class LocalRange : public RangeReader {
 public:
  // Owns the file descriptor.
  LocalRange(std::string path, int fd, uint64_t file_bytes, uint64_t offset, uint64_t bytes)
      : path_(std::move(path)),
        fd_(fd),
        file_bytes_(file_bytes),
        offset_(offset),
        end_(offset + std::min(bytes, std::numeric_limits<uint64_t>::max() - offset)) {}
  ~LocalRange() override { close(fd_); }
  LocalRange(const LocalRange&) = delete;
  LocalRange& operator=(const LocalRange&) = delete;

  uint64_t file_bytes() const override { return file_bytes_; }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    const size_t wanted = std::min<uint64_t>(out.size(), end_ - offset_);
    size_t done = 0;
    while (done < wanted) {
      const ssize_t count = pread(fd_, out.data() + done, wanted - done, static_cast<off_t>(offset_));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, "read", path_);
      if (count == 0) break;
      done += static_cast<size_t>(count);
      offset_ += static_cast<uint64_t>(count);
    }
    return done;
  }

 private:
  const std::string path_;
  const int fd_;
  const uint64_t file_bytes_;
  // The next byte, and the one behind the last.
  uint64_t offset_;
  const uint64_t end_;
};

}  // namespace

absl::StatusOr<std::string> LocalStorage::Fetch(const std::string& uri) { return LocalPath(uri); }

absl::Status LocalStorage::Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  return WriteFileAtomically(path, write);
}

absl::Status LocalStorage::Create(const std::string& uri, absl::string_view bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  return CreateFile(path, bytes);
}

absl::StatusOr<StoredFile> LocalStorage::Stat(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  struct stat itself = {}, found = {};
  const bool is_link = lstat(path.c_str(), &itself) == 0 && S_ISLNK(itself.st_mode);
  if (stat(path.c_str(), &found) != 0) return ErrnoStatus(errno, "read", path);
  if (S_ISDIR(found.st_mode)) return StoredFile{.is_directory = true, .is_link = is_link};
  return StoredFile{.is_link = is_link,
                    .bytes = static_cast<uint64_t>(found.st_size),
                    .version = absl::StrCat(found.st_ino, "-", found.st_mtim.tv_sec, ".", found.st_mtim.tv_nsec)};
}

absl::StatusOr<std::vector<StoredFile>> LocalStorage::List(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(path));
  std::vector<StoredFile> files;
  for (const std::string& name : names) {
    absl::StatusOr<StoredFile> file = Stat(absl::StrCat(path, "/", name));
    // It was removed meanwhile, or is a link to nothing.
    if (absl::IsNotFound(file.status())) continue;
    SAMOVAR_RETURN_IF_ERROR(file.status());
    file->name = name;
    files.push_back(*std::move(file));
  }
  return files;
}

absl::Status LocalStorage::Remove(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  std::error_code error;
  const bool removed = std::filesystem::remove(path, error);
  if (error) return ErrnoStatus(error.value(), "remove", path);
  return removed ? absl::OkStatus() : ErrnoStatus(ENOENT, "remove", path);
}

absl::Status LocalStorage::MakeDirectory(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? ErrnoStatus(error.value(), "make the directory", path) : absl::OkStatus();
}

absl::Status LocalStorage::CheckWritable(const std::string& uri) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  return samovar::CheckWritable(path);
}

absl::StatusOr<std::unique_ptr<RangeReader>> LocalStorage::OpenRange(const std::string& uri, uint64_t offset,
                                                                     uint64_t bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string path, LocalPath(uri));
  SAMOVAR_ASSIGN_OR_RETURN(const int fd, OpenForReading(path, std::numeric_limits<int64_t>::max()));
  struct stat found = {};
  if (fstat(fd, &found) != 0) {
    const int error = errno;
    close(fd);
    return ErrnoStatus(error, "read", path);
  }
  return std::make_unique<LocalRange>(path, fd, static_cast<uint64_t>(found.st_size), offset, bytes);
}

}  // namespace samovar
