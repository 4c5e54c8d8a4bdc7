#include "common/storage/lmdb_errors.h"

#include <lmdb.h>
#include <sys/statvfs.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

// LMDB reports a write cut short by a full disk as an I/O error; the free space tells the two apart.
bool DiskIsFull(const std::string& path) {
  constexpr unsigned long kFullBelowBytes = 1 << 20;
  struct statvfs disk;
  return statvfs(path.c_str(), &disk) == 0 && disk.f_bavail * disk.f_frsize < kFullBelowBytes;
}

absl::StatusCode CodeOf(int code) {
  switch (code) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case MDB_READERS_FULL:
      return absl::StatusCode::kResourceExhausted;
    case EAGAIN:
    case MDB_MAP_RESIZED:
      return absl::StatusCode::kUnavailable;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_BAD_VALSIZE:
      return absl::StatusCode::kInvalidArgument;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::string_view AdviceOn(int code) {
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
      return "; check the owner and the permissions of the directory and its files";
    case ENOSPC:
    case EDQUOT:
      return "; make room and try again";
    case EFBIG:
      return "; the file system or a limit (ulimit -f) does not allow a larger file";
    case MDB_READERS_FULL:
      return "; too many processes have it open";
    case MDB_MAP_RESIZED:
      return "; another process has enlarged it: open it again";
    case MDB_BAD_VALSIZE:
      return "; keys have 1 to 511 bytes";
    case MDB_PANIC:
      return "; an earlier write failed half way: start the process again";
    default:
      return "";
  }
}

}  // namespace

absl::Status LmdbStatus(int code, const std::string& path, absl::string_view doing) {
  if (code == MDB_SUCCESS) return absl::OkStatus();
  if (code == EIO && DiskIsFull(path)) code = ENOSPC;
  return absl::Status(CodeOf(code), absl::StrCat(path, ": ", doing, " failed: ", mdb_strerror(code), AdviceOn(code)));
}

}  // namespace samovar
