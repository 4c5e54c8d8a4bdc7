// Import of IDX files (the format of MNIST and Fashion-MNIST) into a Caffe LMDB, byte for byte the records of Caffe's
// convert_mnist_data: keys "%08d" from 0, a Datum with one channel, `data` and `label`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace samovar {

struct ImportOptions {
  // Replace an existing LMDB.
  bool force = false;
  // Told after each transaction how many of all records are written. May be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct ImportSummary {
  uint64_t records = 0;
  int height = 0;
  int width = 0;
  // Smallest and largest label seen.
  int min_label = 0;
  int max_label = 0;
  // Of the LMDB's data file.
  uint64_t file_bytes = 0;
};

// Reads both files, which may be compressed with gzip, and makes the LMDB directory `lmdb_path` (and its parents). The
// LMDB is written beside its place and moved there when it is complete, so there is never half of one.
// ALREADY_EXISTS: there is something, and `force` is not set; with `force`, anything but an LMDB is still refused.
// NOT_FOUND: no such file. INVALID_ARGUMENT: not an IDX file of that kind, or the two do not fit together.
// DATA_LOSS: truncated or corrupt. RESOURCE_EXHAUSTED: the disk is full.
absl::StatusOr<ImportSummary> ImportIdx(const std::string& images_path, const std::string& labels_path,
                                        const std::string& lmdb_path, const ImportOptions& options);

}  // namespace samovar
