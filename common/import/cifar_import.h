// Import of the binary version of CIFAR-10 into a Caffe LMDB, as Caffe's convert_cifar_data does: keys "%05d" from 0, a
// Datum of 3x32x32 with the planes red, green and blue.
//
// Format: records of 3073 bytes, a label from 0 to 9 and the three planes; files of 10,000 of them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/import/record_import.h"

namespace samovar {

// `inputs`: files, and directories, which stand for the files data_batch_1.bin, data_batch_2.bin ... in them; makes one
// LMDB of all, in this order. Errors of RecordImport. NOT_FOUND: no such file. INVALID_ARGUMENT: not of this format.
absl::StatusOr<ImportSummary> ImportCifar10(const std::vector<std::string>& inputs, const std::string& lmdb_path,
                                            const ImportOptions& options);

}  // namespace samovar
