#include "common/import/idx_file.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/record_shape.h"
#include "common/storage/big_endian.h"

namespace samovar {
namespace {

constexpr uint32_t kImagesMagic = 2051;
constexpr uint32_t kLabelsMagic = 2049;
constexpr unsigned kBufferBytes = 256 << 10;
constexpr size_t kLargestRead = 1 << 30;  // gzread counts in int

absl::Status CheckMagic(uint32_t magic, IdxFile::Kind kind) {
  const uint32_t expected = kind == IdxFile::Kind::kImages ? kImagesMagic : kLabelsMagic;
  if (magic == expected) return absl::OkStatus();
  if (magic == kImagesMagic) {
    return absl::InvalidArgumentError("holds images (magic 2051), not labels (2049); are the two files exchanged?");
  }
  if (magic == kLabelsMagic) {
    return absl::InvalidArgumentError("holds labels (magic 2049), not images (2051); are the two files exchanged?");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("is not an IDX file: begins with magic ", magic, ", expected ", expected));
}

}  // namespace

absl::StatusOr<IdxFile> IdxFile::Open(const std::string& path, Kind kind) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return absl::NotFoundError(absl::StrCat(path, ": no such file"));
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  if (S_ISDIR(status.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory; expected an IDX file"));
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr)
    return absl::PermissionDeniedError(absl::StrCat(path, ": cannot be opened: ", std::strerror(errno)));
  IdxFile idx(path, file);
  gzbuffer(file, kBufferBytes);
  SAMOVAR_RETURN_IF_ERROR(idx.ReadHeader(kind));
  return idx;
}

IdxFile::IdxFile(IdxFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, nullptr)),
      count_(other.count_),
      rows_(other.rows_),
      columns_(other.columns_) {}

IdxFile::~IdxFile() {
  if (file_ != nullptr) gzclose(file_);
}

absl::Status IdxFile::ReadHeader(Kind kind) {
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t magic, ReadNumber());
  if (const absl::Status status = CheckMagic(magic, kind); !status.ok()) return Annotate(status, path_);
  SAMOVAR_ASSIGN_OR_RETURN(count_, ReadNumber());
  if (count_ == 0) return absl::InvalidArgumentError(absl::StrCat(path_, ": has no records"));
  if (kind == Kind::kLabels) return absl::OkStatus();
  SAMOVAR_ASSIGN_OR_RETURN(rows_, ReadNumber());
  SAMOVAR_ASSIGN_OR_RETURN(columns_, ReadNumber());
  if (rows_ == 0 || columns_ == 0 || uint64_t{rows_} * columns_ > kMaxRecordElements) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": has images of ", rows_, " x ", columns_,
                                                   " pixels; an image has 1 to ", kMaxRecordElements));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> IdxFile::ReadNumber() {
  char bytes[4];
  SAMOVAR_RETURN_IF_ERROR(Read(bytes));
  return static_cast<uint32_t>(BigEndianIn({bytes, sizeof(bytes)}));
}

absl::Status IdxFile::Read(std::span<char> bytes) {
  SAMOVAR_ASSIGN_OR_RETURN(const size_t count, ReadSome(bytes));
  if (count == bytes.size()) return absl::OkStatus();
  if (count_ == 0) return absl::DataLossError(absl::StrCat(path_, ": ends within its header"));
  return absl::DataLossError(
      absl::StrCat(path_, ": truncated: it ends before the ", count_, " records that its header announces"));
}

absl::StatusOr<size_t> IdxFile::ReadSome(std::span<char> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const auto wanted = static_cast<unsigned>(std::min(bytes.size() - done, kLargestRead));
    const int count = gzread(file_, bytes.data() + done, wanted);
    int code = Z_OK;
    const char* message = gzerror(file_, &code);
    // Z_BUF_ERROR is a compressed file that ends early.
    if (code == Z_BUF_ERROR)
      return absl::DataLossError(absl::StrCat(path_, ": truncated: its compressed data end early"));
    if (code == Z_ERRNO) return absl::DataLossError(absl::StrCat(path_, ": reading failed: ", std::strerror(errno)));
    if (count < 0) return absl::DataLossError(absl::StrCat(path_, ": its compressed data are corrupt: ", message));
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

absl::Status IdxFile::CheckEnd() {
  char more;
  SAMOVAR_ASSIGN_OR_RETURN(const size_t count, ReadSome({&more, 1}));
  if (count == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path_, ": is longer than the ", count_, " records of its header"));
}

}  // namespace samovar
