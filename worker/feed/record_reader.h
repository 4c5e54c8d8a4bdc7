// RecordReader reads the records of one data layer, wherever they come from, as the net takes them: one value array a
// top.
//
// Thread safety: one thread at a time. Several readers may read the same files.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/feed/transformer.h"

namespace samovar {

// The shape of one record in a top, without the batch: {3, 227, 227}; {} is a single value, a label.
using TopShape = std::vector<int64_t>;

inline size_t ElementsOf(const TopShape& shape) {
  size_t elements = 1;
  for (const int64_t dim : shape) elements *= static_cast<size_t>(dim);
  return elements;
}

class RecordReader {
 public:
  virtual ~RecordReader() = default;

  // The file or directory that the records come from.
  virtual const std::string& source() const = 0;
  // At least 1.
  virtual uint64_t size() const = 0;
  // Partitions that the records are stored in, cut as in partition_cut.h; each may have to be fetched before it is
  // read.
  virtual uint32_t partitions() const { return 1; }
  // At least one.
  virtual const std::vector<TopShape>& tops() const = 0;
  // The records' names in their source, in order: an LMDB's keys, images' names, rows' numbers. May read
  // the disk.
  virtual absl::StatusOr<std::vector<std::string>> Names() const = 0;
  // A digest that tells the first `count` records from others, names apart: common/data/records_digest.h. Reads the
  // disk. REQUIRES: 1 <= count <= size(). Errors of reading a record.
  virtual absl::StatusOr<std::string> Digest(uint64_t count) = 0;
  // Whether the files are there that records are read from and that opening has not read; at each is looked, and none
  // is read, until the deadline (steady clock). Returns how many were looked at, and of how many. Errors name the first
  // file that cannot be read, as Read would, and how many there are of them.
  struct Looked {
    uint64_t at = 0;
    uint64_t of = 0;
  };
  virtual absl::StatusOr<Looked> LookAtFiles(absl::Time deadline) {
    (void)deadline;
    return Looked{};
  }
  // Whether records may have shapes of their own, so that Adapt can be called.
  virtual bool adapts() const { return false; }
  // From now on tops() are those of this record, which may be read from the disk, and others cannot be read. Errors of
  // Read.
  virtual absl::Status Adapt(uint64_t position) {
    (void)position;
    return absl::OkStatus();
  }
  // Writes one record, ElementsOf(tops()[i]) values to tops[i]. The values depend on the record and the draw alone. May
  // read the disk. REQUIRES: position < size(); tops has as many entries as tops(). DATA_LOSS: a damaged record.
  // NOT_FOUND: its file is not there. Others: it cannot be read, or does not fit the layer; the message names it.
  virtual absl::Status Read(uint64_t position, const Draw& draw, std::span<float* const> tops) = 0;
  // A reader of the same records for another thread, which shares what was opened. Null: one thread alone may read
  // them. REQUIRES: Adapt was not called.
  virtual std::unique_ptr<RecordReader> Another() const { return nullptr; }
};

}  // namespace samovar
