#include "common/data/record_import.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxRecords = 100'000'000;
constexpr uint64_t kRecordsPerTransaction = 10'000;
constexpr uint64_t kBytesPerTransaction = 64 << 20;
// Decoded and resized, so many photographs take a few seconds.
constexpr uint64_t kRecordsPerProgress = 1'000;

absl::Status SystemError(const std::string& path, absl::string_view doing, int code) {
  const absl::StatusCode status_code = code == ENOSPC || code == EDQUOT ? absl::StatusCode::kResourceExhausted
                                       : code == EACCES || code == EPERM || code == EROFS
                                           ? absl::StatusCode::kPermissionDenied
                                           : absl::StatusCode::kUnknown;
  return absl::Status(status_code, absl::StrCat(path, ": ", doing, " failed: ", std::strerror(code)));
}

// Whether a directory may be deleted as an LMDB: it holds data.mdb and lock.mdb at most.
bool HoldsOnlyLmdb(const std::string& directory) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().filename() != "data.mdb" && entry.path().filename() != "lock.mdb") return false;
  }
  return !error;
}

// OK: the target is absent or may be replaced.
absl::Status CheckReplaceable(const std::string& path, bool force) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return absl::OkStatus();
  if (error) return SystemError(path, "reading", error.value());
  if (status.type() != fs::file_type::directory || !HoldsOnlyLmdb(path)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": exists and is not an LMDB, so it is not replaced; choose another path"));
  }
  if (force || fs::is_empty(path, error)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(path, ": exists already; --force replaces it"));
}

}  // namespace

// A directory beside the target, removed with all it holds unless it was moved away.
class RecordImport::Staging {
 public:
  static absl::StatusOr<std::unique_ptr<Staging>> Create(const std::string& target) {
    const fs::path parent = fs::path(target).parent_path();
    std::error_code error;
    if (!parent.empty()) fs::create_directories(parent, error);
    if (error) return SystemError(parent.string(), "making the directory", error.value());
    // A number behind the process id: leavings of a killed process with the same id are in the way.
    for (int attempt = 0;; ++attempt) {
      const std::string path = absl::StrCat(target, ".importing-", getpid(), "-", attempt);
      if (mkdir(path.c_str(), 0777) == 0) return std::unique_ptr<Staging>(new Staging(path));
      if (errno != EEXIST) return SystemError(path, "making the directory", errno);
    }
  }

  ~Staging() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  // Moves the directory to its place; what was there is removed.
  absl::Status MoveTo(const std::string& target) {
    if (rename(path_.c_str(), target.c_str()) == 0) return SyncParent(target);
    if (errno != ENOTEMPTY && errno != EEXIST) return SystemError(target, "moving the LMDB to its place", errno);
    // Changes places with what is there, which the destructor then removes.
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return SyncParent(target);
    // A file system that cannot exchange.
    const std::string former = absl::StrCat(path_, "-former");
    if (rename(target.c_str(), former.c_str()) != 0) return SystemError(target, "moving it out of the way", errno);
    const int code = rename(path_.c_str(), target.c_str()) == 0 ? 0 : errno;
    if (code != 0) {
      rename(former.c_str(), target.c_str());
      return SystemError(target, "moving the LMDB to its place", code);
    }
    path_ = former;
    return SyncParent(target);
  }

  const std::string& path() const { return path_; }

 private:
  explicit Staging(std::string path) : path_(std::move(path)) {}

  static absl::Status SyncParent(const std::string& target) {
    const fs::path parent = fs::path(target).parent_path();
    const std::string directory = parent.empty() ? "." : parent.string();
    const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return SystemError(directory, "opening", errno);
    const int code = fsync(file) == 0 ? 0 : errno;
    close(file);
    // EINVAL: a file system whose directories cannot be synced.
    return code == 0 || code == EINVAL ? absl::OkStatus() : SystemError(directory, "syncing", code);
  }

  std::string path_;
};

absl::StatusOr<std::string> RecordImport::CheckTarget(const std::string& lmdb_path, bool force) {
  // "a/b/" means "a/b".
  std::string target = lmdb_path;
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  if (target.empty()) return absl::InvalidArgumentError("the path of the LMDB is empty");
  SAMOVAR_RETURN_IF_ERROR(CheckReplaceable(target, force));
  return target;
}

absl::StatusOr<std::unique_ptr<RecordImport>> RecordImport::Begin(const std::string& lmdb_path, uint64_t total,
                                                                  const ImportOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(std::string target, CheckTarget(lmdb_path, options.force));
  if (total > kMaxRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", total, " records; keys of 8 digits allow ", kMaxRecords));
  }
  std::unique_ptr<RecordImport> import(new RecordImport(std::move(target), total, options));
  SAMOVAR_ASSIGN_OR_RETURN(import->staging_, Staging::Create(import->target_));
  SAMOVAR_ASSIGN_OR_RETURN(import->environment_, LmdbEnvironment::Open(import->staging_->path(), {}));
  return import;
}

RecordImport::RecordImport(std::string target, uint64_t total, const ImportOptions& options)
    : target_(std::move(target)), total_(total), options_(options) {}

RecordImport::~RecordImport() = default;

absl::Status RecordImport::Add(std::string key, const caffe::Datum& datum, const RecordShape& shape) {
  const uint64_t number = summary_.records++;
  if (number == 0) {
    summary_.shape = shape;
    summary_.min_label = summary_.max_label = datum.label();
  }
  summary_.same_shape = summary_.same_shape && shape == summary_.shape;
  summary_.min_label = std::min(summary_.min_label, datum.label());
  summary_.max_label = std::max(summary_.max_label, datum.label());
  pending_.emplace_back(std::move(key), datum.SerializeAsString());
  pending_bytes_ += pending_.back().second.size();
  if (options_.progress && (summary_.records % kRecordsPerProgress == 0 || summary_.records == total_)) {
    options_.progress(summary_.records, total_);
  }
  const bool full = pending_.size() >= kRecordsPerTransaction || pending_bytes_ >= kBytesPerTransaction;
  return full ? Flush() : absl::OkStatus();
}

absl::Status RecordImport::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  SAMOVAR_RETURN_IF_ERROR(environment_->Write([&](LmdbTransaction& transaction) -> absl::Status {
    for (const auto& [key, value] : pending_) {
      SAMOVAR_RETURN_IF_ERROR(
          Annotate(transaction.Put(key, value), absl::StrCat("key \"", absl::CHexEscape(key), "\"")));
    }
    return absl::OkStatus();
  }));
  pending_.clear();
  pending_bytes_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<ImportSummary> RecordImport::Finish() {
  SAMOVAR_RETURN_IF_ERROR(Flush());
  environment_.reset();
  std::error_code error;
  fs::remove(staging_->path() + "/lock.mdb", error);  // belongs to those who have the LMDB open: nobody
  summary_.file_bytes = fs::file_size(staging_->path() + "/data.mdb", error);
  SAMOVAR_RETURN_IF_ERROR(staging_->MoveTo(target_));
  return summary_;
}

}  // namespace samovar
