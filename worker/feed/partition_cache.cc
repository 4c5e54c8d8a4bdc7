#include "worker/feed/partition_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/list_directory.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/storage/checksum.h"
#include "common/storage/paths.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kCopying = ".copying";
// Between two looks at the work of another process.
constexpr absl::Duration kLook = absl::Milliseconds(50);
// The directory's lock is held for no more than a few system calls.
constexpr absl::Duration kLockPatience = absl::Seconds(30);

absl::Status WriteAll(const std::string& path, absl::string_view bytes, int fd) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return ErrnoStatus(errno, "write", path);
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// The size that an entry's name says, also of one under copy; none: the cache has not made it.
std::optional<uint64_t> BytesIn(absl::string_view name) {
  const std::vector<absl::string_view> words = absl::StrSplit(absl::StripSuffix(name, kCopying), '-');
  uint64_t bytes = 0;
  if (words.size() < 4 || !absl::SimpleAtoi(words[words.size() - 2], &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace

class PartitionCache::LockedFile {
 public:
  LockedFile() = default;
  LockedFile(LockedFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LockedFile& operator=(LockedFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~LockedFile() {
    if (fd_ >= 0) close(fd_);
  }

  // `operation`: LOCK_SH or LOCK_EX. Empty: another process has locked it. NOT_FOUND: no such file, and `flags` do not
  // make it.
  static absl::StatusOr<LockedFile> Open(const std::string& path, int flags, int operation) {
    LockedFile file;
    file.fd_ = open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (file.fd_ < 0) return ErrnoStatus(errno, "open", path);
    if (flock(file.fd_, operation | LOCK_NB) == 0) return file;
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
    return LockedFile();
  }

  bool empty() const { return fd_ < 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

struct PartitionCache::Held {
  std::string entry;
  LockedFile file;
  // Closed before the lock is given up.
  std::shared_ptr<const LmdbRecords> records;
};

struct PartitionCache::Entry {
  std::string name;
  uint64_t bytes = 0;
};

absl::StatusOr<std::unique_ptr<PartitionCache>> PartitionCache::Create(const Options& options) {
  std::error_code error;
  fs::create_directories(options.directory, error);
  if (error) return ErrnoStatus(error.value(), "make the directory", options.directory);
  std::unique_ptr<PartitionCache> cache(new PartitionCache(options));
  SAMOVAR_ASSIGN_OR_RETURN(const LockedFile lock, cache->LockDirectory());
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(options.directory));
  for (const std::string& name : names) {
    if (absl::EndsWith(name, kCopying) && BytesIn(name).has_value()) cache->RemoveLeftover(name);
  }
  // The bound may be lower than that of those before.
  if (const absl::Status room = cache->MakeRoom(0); !room.ok()) LogWarning(room.message());
  return cache;
}

absl::StatusOr<PartitionCache::LockedFile> PartitionCache::LockDirectory() const {
  const absl::Time deadline = SteadyNow() + kLockPatience;
  for (;;) {
    SAMOVAR_ASSIGN_OR_RETURN(LockedFile lock, LockedFile::Open(PathOf("lock"), O_RDWR | O_CREAT, LOCK_EX));
    if (!lock.empty()) return lock;
    if (SteadyNow() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(PathOf("lock"), ": another process has held it for ", absl::FormatDuration(kLockPatience)));
    }
    if (stopper_.WaitFor(kLook)) return absl::CancelledError("the cache of partitions is closed");
  }
}

void PartitionCache::RemoveLeftover(const std::string& name) const {
  const absl::StatusOr<LockedFile> file = LockedFile::Open(PathOf(name) + "/data.mdb", O_RDONLY, LOCK_EX);
  if (file.ok() && file->empty()) return;
  std::error_code error;
  fs::remove_all(PathOf(name), error);
  if (error) LogWarning(absl::StrCat(PathOf(name), ": cannot be removed: ", error.message()));
}

absl::StatusOr<PartitionCache::LockedFile> PartitionCache::FindEntry(const Entry& entry) const {
  const std::string path = PathOf(entry.name) + "/data.mdb";
  absl::StatusOr<LockedFile> file = LockedFile::Open(path, O_RDONLY, LOCK_SH);
  if (absl::IsNotFound(file.status())) return LockedFile();
  if (!file.ok()) return file;
  // The process that has an entry locked for itself removes it, and has locked the directory.
  if (file->empty()) return absl::InternalError(absl::StrCat(path, ": is locked by another program"));
  struct stat info;
  if (fstat(file->fd(), &info) != 0) return ErrnoStatus(errno, "read", path);
  if (static_cast<uint64_t>(info.st_size) != entry.bytes) {
    std::error_code ignored;
    fs::remove_all(PathOf(entry.name), ignored);
    return LockedFile();
  }
  // Not the kernel's own idea of now, which is a few milliseconds coarse. If it cannot be set, the entry is removed
  // early.
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const timespec times[] = {now, now};
  futimens(file->fd(), times);
  return file;
}

absl::Status PartitionCache::MakeRoom(uint64_t bytes) const {
  struct Used {
    timespec time;
    std::string name;
    uint64_t bytes;
  };
  std::vector<Used> entries;
  uint64_t total = bytes;
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(options_.directory));
  std::error_code error;
  for (const std::string& name : names) {
    const std::optional<uint64_t> entry_bytes = BytesIn(name);
    if (!entry_bytes.has_value()) continue;
    total += *entry_bytes;
    struct stat info;
    if (absl::EndsWith(name, kCopying) || stat((PathOf(name) + "/data.mdb").c_str(), &info) != 0) continue;
    entries.push_back({info.st_mtim, name, *entry_bytes});
  }
  std::sort(entries.begin(), entries.end(), [](const Used& a, const Used& b) {
    return std::tie(a.time.tv_sec, a.time.tv_nsec, a.name) < std::tie(b.time.tv_sec, b.time.tv_nsec, b.name);
  });
  for (const Used& used : entries) {
    if (total <= options_.bytes) break;
    const absl::StatusOr<LockedFile> file = LockedFile::Open(PathOf(used.name) + "/data.mdb", O_RDONLY, LOCK_EX);
    if (!file.ok() || file->empty()) continue;
    fs::remove_all(PathOf(used.name), error);
    if (error) return ErrnoStatus(error.value(), "remove", PathOf(used.name));
    total -= used.bytes;
  }
  const bool fits = total <= options_.bytes;
  held_bytes_.store(fits ? total : total - bytes, std::memory_order_relaxed);
  if (fits) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(options_.directory, ": the partitions that are in use leave no room for ", bytes, " bytes of ",
                   options_.bytes, "; give --cache-bytes for one partition of each worker on this machine, and more"));
}

absl::StatusOr<PartitionCache::LockedFile> PartitionCache::BeginCopy(const Entry& entry) const {
  const std::string name = absl::StrCat(entry.name, kCopying);
  std::error_code error;
  if (fs::exists(PathOf(name), error)) {
    RemoveLeftover(name);
    if (fs::exists(PathOf(name), error))
      return absl::UnavailableError(absl::StrCat(PathOf(name), ": another process copies it"));
  }
  SAMOVAR_RETURN_IF_ERROR(MakeRoom(entry.bytes));
  fs::create_directory(PathOf(name), error);
  if (error) return ErrnoStatus(error.value(), "make the directory", PathOf(name));
  return LockedFile::Open(PathOf(name) + "/data.mdb", O_WRONLY | O_CREAT | O_EXCL, LOCK_EX);
}

absl::Status PartitionCache::Copy(const std::string& set, const v1::DatasetPartition& partition, const Entry& entry,
                                  const LockedFile& file) const {
  const std::string path = absl::StrCat(PathOf(entry.name), kCopying, "/data.mdb");
  const auto take = [&](absl::string_view piece) {
    if (stopper_.stopped()) return absl::CancelledError("the cache of partitions is closed");
    return WriteAll(path, piece, file.fd());
  };
  SAMOVAR_RETURN_IF_ERROR(ReadPartition(set, partition, take, options_.storage));
  return fsync(file.fd()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "synchronise", path);
}

absl::StatusOr<PartitionCache::LockedFile> PartitionCache::Fetch(const std::string& set,
                                                                 const v1::DatasetPartition& partition,
                                                                 const Entry& entry) const {
  const absl::Time begun = SteadyNow();
  for (;;) {
    LockedFile file;
    absl::Status busy;
    {
      SAMOVAR_ASSIGN_OR_RETURN(const LockedFile lock, LockDirectory());
      SAMOVAR_ASSIGN_OR_RETURN(LockedFile found, FindEntry(entry));
      if (!found.empty()) return found;
      absl::StatusOr<LockedFile> copy = BeginCopy(entry);
      if (!copy.ok() && !absl::IsUnavailable(copy.status())) return copy;
      busy = copy.status();
      if (copy.ok()) file = *std::move(copy);
    }
    std::error_code error;
    const std::string copying = absl::StrCat(PathOf(entry.name), kCopying);
    if (file.empty()) {
      const bool copied = fs::exists(copying, error);
      if (SteadyNow() - begun > (copied ? options_.copy_patience : options_.room_patience))
        return absl::DeadlineExceededError(busy.message());
      if (stopper_.WaitFor(kLook)) return absl::CancelledError("the cache of partitions is closed");
      continue;
    }
    if (const absl::Status status = Copy(set, partition, entry, file); !status.ok()) {
      fs::remove_all(copying, error);
      return status;
    }
    LogInfo(absl::StrCat("copied ", PartitionFile(set, partition), " to ", PathOf(entry.name)));
    SAMOVAR_ASSIGN_OR_RETURN(const LockedFile lock, LockDirectory());
    fs::rename(copying, PathOf(entry.name), error);
    if (error) return ErrnoStatus(error.value(), "rename", copying);
    // Nobody locks it in between, since they would lock the directory first.
    file = LockedFile();
    SAMOVAR_ASSIGN_OR_RETURN(LockedFile found, FindEntry(entry));
    if (!found.empty()) return found;
  }
}

absl::StatusOr<std::shared_ptr<const LmdbRecords>> PartitionCache::Open(const std::string& set,
                                                                        const v1::DatasetPartition& partition) {
  if (partition.bytes() > options_.bytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        PartitionFile(set, partition), ": has ", partition.bytes(), " bytes, and the cache ", options_.directory,
        " at most ", options_.bytes, "; give a larger --cache-bytes, or cut the set into more partitions"));
  }
  std::error_code error;
  const std::string canonical = LocalPath(set).ok() ? fs::canonical(set, error).string() : set;
  if (error) return ErrnoStatus(error.value(), "read", set);
  const uint32_t of_set = Crc32(canonical);
  const Entry entry = {
      absl::StrFormat("%s-%08x-%d-%08x", partition.directory(), partition.crc32(), partition.bytes(), of_set),
      partition.bytes()};
  std::shared_ptr<const Held> before;
  {
    absl::MutexLock l(&mu_);
    before = std::move(last_);
    if (before != nullptr && before->entry == entry.name) {
      last_ = before;
      return std::shared_ptr<const LmdbRecords>(before, before->records.get());
    }
  }
  // It may make room.
  before = nullptr;
  SAMOVAR_ASSIGN_OR_RETURN(LockedFile file, Fetch(set, partition, entry));
  absl::StatusOr<std::shared_ptr<const LmdbRecords>> records = LmdbRecords::Open(PathOf(entry.name));
  if (!records.ok()) {
    // It was whole when it was copied: this machine's disk has damaged it, or the set was made of a damaged LMDB.
    SAMOVAR_ASSIGN_OR_RETURN(const LockedFile lock, LockDirectory());
    fs::remove_all(PathOf(entry.name), error);
    return Annotate(records.status(), absl::StrCat("copy of ", PartitionFile(set, partition)));
  }
  auto held = std::make_shared<Held>(Held{entry.name, std::move(file), *std::move(records)});
  absl::MutexLock l(&mu_);
  last_ = held;
  return std::shared_ptr<const LmdbRecords>(held, held->records.get());
}

}  // namespace samovar
