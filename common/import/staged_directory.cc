#include "common/import/staged_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/list_directory.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/import/set_upload.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

// Behind a set's name, before the process and a number.
constexpr char kStaging[] = ".importing-";
// Before the user.
constexpr char kTemporaryPrefix[] = "samovar-set-";

absl::Status SystemError(const std::string& path, absl::string_view doing, int code) {
  const absl::StatusCode status_code =
      code == EPERM || code == EROFS ? absl::StatusCode::kPermissionDenied : absl::ErrnoToStatusCode(code);
  return absl::Status(status_code, absl::StrCat(path, ": ", doing, " failed: ", std::strerror(code)));
}

// The first entry of a directory that keeps it from being deleted as an LMDB, or as a set's partition; empty: none.
absl::StatusOr<std::string> OtherThanLmdb(const std::string& directory, bool is_partition) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  for (const std::string& name : names) {
    if (name != "data.mdb" && name != "lock.mdb" && !(is_partition && name == kReportName)) return name;
  }
  return "";
}

// The same for a data set: it is an LMDB, or holds a manifest and partitions at most.
absl::StatusOr<std::string> OtherThanSet(const std::string& directory) {
  if (!IsPartitioned(directory)) return OtherThanLmdb(directory, false);
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  for (const std::string& name : names) {
    const fs::path path = fs::path(directory) / name;
    std::error_code error;
    const bool is_partition =
        absl::StartsWith(name, "part-") && fs::symlink_status(path, error).type() == fs::file_type::directory;
    if (!is_partition && name != kManifestName) return name;
    if (!is_partition) continue;
    SAMOVAR_ASSIGN_OR_RETURN(const std::string other, OtherThanLmdb(path.string(), true));
    if (!other.empty()) return absl::StrCat(name, "/", other);
  }
  return "";
}

absl::Status SyncParent(const std::string& target) {
  const fs::path parent = fs::path(target).parent_path();
  const std::string directory = parent.empty() ? "." : parent.string();
  const int file = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return SystemError(directory, "opening", errno);
  const int code = fsync(file) == 0 ? 0 : errno;
  close(file);
  // EINVAL: a file system whose directories cannot be synced.
  return code == 0 || code == EINVAL ? absl::OkStatus() : SystemError(directory, "syncing", code);
}

}  // namespace

absl::StatusOr<std::string> CheckSetTarget(const std::string& path, bool force, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(storage.StorageFor(path).status());
  const absl::StatusOr<std::string> local = LocalPath(path);
  // "a/b/" means "a/b".
  std::string target = local.ok() ? *local : path;
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  if (!local.ok()) {
    SAMOVAR_RETURN_IF_ERROR(CheckStoredSetTarget(target, force, storage));
    return target;
  }
  if (target.empty()) return absl::InvalidArgumentError("the path of the data set is empty");
  std::error_code error;
  const fs::file_status status = fs::symlink_status(target, error);
  if (status.type() == fs::file_type::not_found) return target;
  if (error) return SystemError(target, "reading", error.value());
  if (status.type() != fs::file_type::directory) {
    return absl::AlreadyExistsError(
        absl::StrCat(target, ": exists and is not an LMDB, so it is not replaced; choose another path"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::string other, OtherThanSet(target));
  if (!other.empty()) return HoldsOther(target, other);
  if (force || fs::is_empty(target, error)) return target;
  return absl::AlreadyExistsError(absl::StrCat(target, ": exists already; --force replaces it"));
}

absl::StatusOr<std::unique_ptr<StagedDirectory>> StagedDirectory::Create(const std::string& target) {
  const fs::path parent = fs::path(target).parent_path();
  std::error_code error;
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) return SystemError(parent.string(), "making the directory", error.value());
  // A number behind the process id: leavings of a killed process with the same id are in the way.
  for (int attempt = 0;; ++attempt) {
    const std::string path = absl::StrCat(target, kStaging, getpid(), "-", attempt);
    if (mkdir(path.c_str(), 0777) == 0) return std::unique_ptr<StagedDirectory>(new StagedDirectory(path));
    if (errno != EEXIST) return SystemError(target, "making the directory", errno);
  }
}

absl::StatusOr<std::unique_ptr<StagedDirectory>> StagedDirectory::CreateTemporary() {
  const char* const temporary = std::getenv("TMPDIR");
  const std::string directory = temporary == nullptr || *temporary == '\0' ? "/var/tmp" : temporary;
  const std::string prefix = absl::StrCat(kTemporaryPrefix, geteuid());
  for (const std::string& name : ListDirectory(directory).value_or(std::vector<std::string>())) {
    const std::vector<std::string> words = absl::StrSplit(name, '-');
    pid_t process = 0;
    if (!absl::StartsWith(name, prefix + kStaging) || !absl::SimpleAtoi(words[words.size() - 2], &process)) continue;
    std::error_code ignored;
    if (kill(process, 0) != 0 && errno == ESRCH) fs::remove_all(absl::StrCat(directory, "/", name), ignored);
  }
  return Create(absl::StrCat(directory, "/", prefix));
}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

absl::Status StagedDirectory::MoveTo(const std::string& target, bool replace) {
  if (rename(path_.c_str(), target.c_str()) == 0) return SyncParent(target);
  if (errno != ENOTEMPTY && errno != EEXIST) return SystemError(target, "moving the LMDB to its place", errno);
  if (!replace) return absl::AlreadyExistsError(absl::StrCat(target, ": another process has made it meanwhile"));
  // Changes places with the directory that is there, which the destructor then removes.
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

}  // namespace samovar
