#include "common/data/idx_import.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "caffe.pb.h"
#include "common/base/status_macros.h"
#include "common/data/idx_file.h"
#include "common/data/lmdb.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMaxRecords = 100'000'000;  // keys have 8 digits
constexpr uint64_t kRecordsPerTransaction = 10'000;
constexpr uint64_t kBytesPerTransaction = 64 << 20;

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
absl::Status CheckTarget(const std::string& path, bool force) {
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

// A directory beside the target, removed with all it holds unless it was moved away.
class StagingDirectory {
 public:
  static absl::StatusOr<std::unique_ptr<StagingDirectory>> Create(const std::string& target) {
    const fs::path parent = fs::path(target).parent_path();
    std::error_code error;
    if (!parent.empty()) fs::create_directories(parent, error);
    if (error) return SystemError(parent.string(), "making the directory", error.value());
    // A number behind the process id: leavings of a killed process with the same id are in the way.
    for (int attempt = 0;; ++attempt) {
      const std::string path = absl::StrCat(target, ".importing-", getpid(), "-", attempt);
      if (mkdir(path.c_str(), 0777) == 0) return std::unique_ptr<StagingDirectory>(new StagingDirectory(path));
      if (errno != EEXIST) return SystemError(path, "making the directory", errno);
    }
  }

  ~StagingDirectory() {
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
  explicit StagingDirectory(std::string path) : path_(std::move(path)) {}

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

// Reads the next records as keys and values of the LMDB.
absl::Status ReadRecords(uint64_t first, uint64_t count, IdxFile* images, IdxFile* labels, ImportSummary* summary,
                         std::vector<std::pair<std::string, std::string>>* records) {
  std::string label_bytes(count, '\0');
  SAMOVAR_RETURN_IF_ERROR(labels->Read(label_bytes));
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(static_cast<int>(images->rows()));
  datum.set_width(static_cast<int>(images->columns()));
  datum.mutable_data()->resize(size_t{images->rows()} * images->columns());
  records->resize(count);
  for (uint64_t i = 0; i < count; ++i) {
    SAMOVAR_RETURN_IF_ERROR(images->Read(*datum.mutable_data()));
    const int label = static_cast<unsigned char>(label_bytes[i]);
    datum.set_label(label);
    summary->min_label = std::min(summary->min_label, label);
    summary->max_label = std::max(summary->max_label, label);
    (*records)[i].first = absl::StrFormat("%08d", first + i);
    datum.SerializeToString(&(*records)[i].second);
  }
  return absl::OkStatus();
}

absl::Status WriteRecords(const std::string& directory, const ImportOptions& options, IdxFile* images, IdxFile* labels,
                          ImportSummary* summary) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<LmdbEnvironment> environment, LmdbEnvironment::Open(directory, {}));
  const uint64_t image_bytes = uint64_t{images->rows()} * images->columns();
  const uint64_t step = std::clamp<uint64_t>(kBytesPerTransaction / image_bytes, 1, kRecordsPerTransaction);
  std::vector<std::pair<std::string, std::string>> records;
  for (uint64_t done = 0; done < images->count();) {
    const uint64_t count = std::min<uint64_t>(step, images->count() - done);
    SAMOVAR_RETURN_IF_ERROR(ReadRecords(done, count, images, labels, summary, &records));
    SAMOVAR_RETURN_IF_ERROR(environment->Write([&](LmdbTransaction& transaction) -> absl::Status {
      for (const auto& [key, value] : records) SAMOVAR_RETURN_IF_ERROR(transaction.Put(key, value));
      return absl::OkStatus();
    }));
    done += count;
    if (options.progress) options.progress(done, images->count());
  }
  SAMOVAR_RETURN_IF_ERROR(images->CheckEnd());
  return labels->CheckEnd();
}

}  // namespace

absl::StatusOr<ImportSummary> ImportIdx(const std::string& images_path, const std::string& labels_path,
                                        const std::string& lmdb_path, const ImportOptions& options) {
  // "a/b/" means "a/b".
  std::string target = lmdb_path;
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  if (target.empty()) return absl::InvalidArgumentError("the path of the LMDB is empty");
  SAMOVAR_RETURN_IF_ERROR(CheckTarget(target, options.force));

  SAMOVAR_ASSIGN_OR_RETURN(IdxFile images, IdxFile::Open(images_path, IdxFile::Kind::kImages));
  SAMOVAR_ASSIGN_OR_RETURN(IdxFile labels, IdxFile::Open(labels_path, IdxFile::Kind::kLabels));
  if (images.count() != labels.count()) {
    return absl::InvalidArgumentError(absl::StrCat(images_path, " has ", images.count(), " images, but ", labels_path,
                                                   " has ", labels.count(), " labels; they must belong together"));
  }
  if (images.count() > kMaxRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat(images_path, ": has ", images.count(), " images; keys of 8 digits allow ", kMaxRecords));
  }

  ImportSummary summary;
  summary.records = images.count();
  summary.height = static_cast<int>(images.rows());
  summary.width = static_cast<int>(images.columns());
  summary.min_label = 255;
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<StagingDirectory> staging, StagingDirectory::Create(target));
  SAMOVAR_RETURN_IF_ERROR(WriteRecords(staging->path(), options, &images, &labels, &summary));
  std::error_code error;
  fs::remove(staging->path() + "/lock.mdb", error);  // belongs to those who have the LMDB open: nobody
  summary.file_bytes = fs::file_size(staging->path() + "/data.mdb", error);
  SAMOVAR_RETURN_IF_ERROR(staging->MoveTo(target));
  return summary;
}

}  // namespace samovar
