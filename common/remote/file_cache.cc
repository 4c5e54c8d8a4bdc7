#include "common/remote/file_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/digest.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr char kLockSuffix[] = ".lock";
constexpr char kFillingSuffix[] = ".filling";
constexpr absl::Duration kLookAgain = absl::Milliseconds(50);

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

uint64_t BytesBelow(const std::string& directory) {
  uint64_t bytes = 0;
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  if (!names.ok()) return 0;
  for (const std::string& name : *names) {
    const std::string path = absl::StrCat(directory, "/", name);
    struct stat found = {};
    if (lstat(path.c_str(), &found) != 0) continue;
    if (S_ISDIR(found.st_mode)) bytes += BytesBelow(path);
    if (S_ISREG(found.st_mode)) bytes += static_cast<uint64_t>(found.st_size);
  }
  return bytes;
}

struct Entry {
  std::string path;
  uint64_t bytes = 0;
  // When it was asked for last.
  int64_t used = 0;
};

std::vector<Entry> EntriesOf(const std::string& directory) {
  std::vector<Entry> entries;
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  if (!names.ok()) return entries;
  for (const std::string& name : *names) {
    const std::string path = absl::StrCat(directory, "/", name);
    struct stat lock = {};
    if (!absl::EndsWith(path, kLockSuffix) || stat(path.c_str(), &lock) != 0) continue;
    const std::string entry = path.substr(0, path.size() - (sizeof(kLockSuffix) - 1));
    entries.push_back({entry, BytesBelow(entry) + BytesBelow(entry + kFillingSuffix), lock.st_mtime});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  return entries;
}

// False: somebody holds it.
bool RemoveUnheld(const Entry& entry) {
  const std::string lock = entry.path + kLockSuffix;
  const int fd = open(lock.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const absl::Cleanup close_it = [fd] { close(fd); };
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
  std::error_code ignored;
  fs::remove_all(entry.path, ignored);
  fs::remove_all(entry.path + kFillingSuffix, ignored);
  fs::remove(lock, ignored);
  return true;
}

absl::Status Fill(const std::string& entry, const std::function<absl::Status(const std::string&)>& fill) {
  const std::string filling = entry + kFillingSuffix;
  std::error_code ignored;
  fs::remove_all(filling, ignored);
  if (mkdir(filling.c_str(), 0700) != 0) return ErrnoStatus(errno, "make", filling);
  const absl::Status filled = fill(filling);
  if (!filled.ok()) {
    fs::remove_all(filling, ignored);
    return filled;
  }
  return rename(filling.c_str(), entry.c_str()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "rename", filling);
}

// The lock file, locked as `how`; waits. The file that is locked is the one of that name: it may have been removed, and
// made anew, meanwhile.
absl::StatusOr<int> Lock(const std::string& path, int how, const Stopper* stopper) {
  const Stopper never;
  if (stopper == nullptr) stopper = &never;
  while (true) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return ErrnoStatus(errno, "open", path);
    struct stat by_name = {}, locked = {};
    const bool has = flock(fd, how | LOCK_NB) == 0;
    if (has && fstat(fd, &locked) == 0 && stat(path.c_str(), &by_name) == 0 && locked.st_ino == by_name.st_ino) {
      return fd;
    }
    const int error = errno;
    close(fd);
    if (!has && error != EWOULDBLOCK && error != EINTR) return ErrnoStatus(error, "lock", path);
    if (stopper->WaitFor(kLookAgain)) return absl::CancelledError(absl::StrCat(path, ": is not waited for any more"));
  }
}

}  // namespace

FileCache::~FileCache() {
  absl::MutexLock lock(&mu_);
  for (const auto& [key, fd] : held_) close(fd);
}

absl::StatusOr<std::string> FileCache::Directory() const {
  std::string directory = options_.directory;
  if (directory.empty()) directory = Environment("SAMOVAR_FILE_CACHE");
  if (directory.empty()) {
    const std::string temporary = Environment("TMPDIR");
    directory = absl::StrCat(temporary.empty() ? "/var/tmp" : temporary, "/samovar-files-", geteuid());
  }
  std::error_code error;
  fs::create_directories(fs::path(directory).parent_path(), error);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, "make", directory);
  struct stat found = {};
  if (lstat(directory.c_str(), &found) != 0) return ErrnoStatus(errno, "read", directory);
  // In a directory that all may write to, somebody else may have been there first.
  if (!S_ISDIR(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 0022) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the cache of remote files, ", directory,
        ", must be a directory that this user owns and nobody else can write to; SAMOVAR_FILE_CACHE names another"));
  }
  return directory;
}

absl::Status FileCache::MakeRoom(const std::string& directory, uint64_t bytes) const {
  struct statvfs space = {};
  if (statvfs(directory.c_str(), &space) != 0) return ErrnoStatus(errno, "read", directory);
  uint64_t free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  const std::vector<Entry> entries = EntriesOf(directory);
  uint64_t used = 0;
  for (const Entry& entry : entries) used += entry.bytes;
  const uint64_t bound = options_.max_bytes != 0 ? options_.max_bytes : (free + used) / 2;
  for (const Entry& entry : entries) {
    if (used + bytes <= bound && bytes <= free) break;
    if (!RemoveUnheld(entry)) continue;
    used -= entry.bytes;
    free += entry.bytes;
  }
  if (bytes <= free) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the cache of remote files, ", directory, ", has no room for ", bytes, " bytes: ", free,
                   " are free on its disk; SAMOVAR_FILE_CACHE names a directory on another"));
}

absl::StatusOr<std::string> FileCache::Get(absl::string_view key, uint64_t bytes,
                                           const std::function<absl::Status(const std::string&)>& fill) {
  Digest digest;
  digest.AddField(key);
  const std::string name = digest.Hex().substr(0, 32);
  SAMOVAR_ASSIGN_OR_RETURN(const std::string directory, Directory());
  const std::string entry = absl::StrCat(directory, "/", name);
  const std::string lock_path = entry + kLockSuffix;
  absl::MutexLock lock(&mu_);
  std::error_code error;
  if (held_.count(name) != 0 && fs::is_directory(entry, error)) return entry;
  while (true) {
    SAMOVAR_ASSIGN_OR_RETURN(const int shared, Lock(lock_path, LOCK_SH, options_.stopper.get()));
    if (fs::is_directory(entry, error)) {
      futimens(shared, nullptr);
      const auto [held, is_new] = held_.emplace(name, shared);
      if (!is_new) close(std::exchange(held->second, shared));
      return entry;
    }
    close(shared);
    SAMOVAR_ASSIGN_OR_RETURN(const int alone, Lock(lock_path, LOCK_EX, options_.stopper.get()));
    const absl::Cleanup close_it = [alone] { close(alone); };
    if (fs::is_directory(entry, error)) continue;
    SAMOVAR_RETURN_IF_ERROR(MakeRoom(directory, bytes));
    SAMOVAR_RETURN_IF_ERROR(Fill(entry, fill));
  }
}

absl::StatusOr<int> FileCache::OpenNameless() {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string directory, Directory());
  std::string path = directory + "/put.XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "make", path);
  unlink(path.c_str());
  return fd;
}

}  // namespace samovar
