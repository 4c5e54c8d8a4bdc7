// Import of IDX files (the format of MNIST and Fashion-MNIST) into a Caffe LMDB, byte for byte the records of Caffe's
// convert_mnist_data: keys "%08d" from 0, a Datum with one channel, `data` and `label`.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/import/record_import.h"

namespace samovar {

// Reads both files, which may be compressed with gzip, and makes the LMDB directory `lmdb_path` as RecordImport does.
// Errors of RecordImport. NOT_FOUND: no such file. INVALID_ARGUMENT: not an IDX file of that kind, or the two do not
// fit together. DATA_LOSS: truncated or corrupt.
absl::StatusOr<ImportSummary> ImportIdx(const std::string& images_path, const std::string& labels_path,
                                        const std::string& lmdb_path, const ImportOptions& options);

}  // namespace samovar
