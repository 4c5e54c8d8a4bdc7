// Import of a LevelDB of Caffe's Datums, as convert_imageset, convert_mnist_siamese_data and others write it, into a
// Caffe LMDB: the same keys, the same values, byte by byte.
//
// The LevelDB is not changed: it is opened through links in a directory beside the target, since LevelDB writes where
// it opens.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/import/record_import.h"

namespace samovar {

// Whether this build can read LevelDBs.
bool HasLevelDb();

// Errors of RecordImport. NOT_FOUND: no such directory. INVALID_ARGUMENT: no LevelDB, or one without records.
// DATA_LOSS: damaged, or a value is no Datum; the message names the key. UNIMPLEMENTED: see HasLevelDb.
absl::StatusOr<ImportSummary> ImportLevelDb(const std::string& source, const std::string& lmdb_path,
                                            const ImportOptions& options);

}  // namespace samovar
