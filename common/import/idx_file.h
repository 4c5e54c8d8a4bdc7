// IdxFile reads one IDX file, plain or compressed with gzip, from begin to end.
//
// Format (yann.lecun.com's MNIST page): big-endian u32 magic (2051 images, 2049 labels), u32 count; images also u32
// rows, u32 columns; then count times rows x columns bytes (images) or one byte (labels).
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct gzFile_s;

namespace samovar {

class IdxFile {
 public:
  enum class Kind { kImages, kLabels };

  // NOT_FOUND: no such file. INVALID_ARGUMENT: not an IDX file of this kind, or images without pixels or with too many.
  // DATA_LOSS: the header is cut off.
  static absl::StatusOr<IdxFile> Open(const std::string& path, Kind kind);
  IdxFile(IdxFile&& other) noexcept;
  IdxFile& operator=(IdxFile&&) = delete;
  ~IdxFile();

  uint32_t count() const { return count_; }
  // The size of an image; 1 x 1 for labels.
  uint32_t rows() const { return rows_; }
  uint32_t columns() const { return columns_; }

  // Reads the next bytes. DATA_LOSS: the file ends before them, or its compressed data are corrupt.
  absl::Status Read(std::span<char> bytes);
  // INVALID_ARGUMENT: the file is longer than its header says.
  absl::Status CheckEnd();

 private:
  IdxFile(std::string path, gzFile_s* file) : path_(std::move(path)), file_(file) {}

  absl::Status ReadHeader(Kind kind);
  absl::StatusOr<uint32_t> ReadNumber();
  // Like Read, but returns how many bytes there were.
  absl::StatusOr<size_t> ReadSome(std::span<char> bytes);

  std::string path_;
  gzFile_s* file_;
  uint32_t count_ = 0;
  uint32_t rows_ = 1;
  uint32_t columns_ = 1;
};

}  // namespace samovar
