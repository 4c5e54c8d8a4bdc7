// Cuts a data set into partitions: a directory with an LMDB for each, and a manifest (README.md).
//
// Thread safety: one thread at a time for one destination.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/import/record_import.h"

namespace samovar {

// Makes a partitioned set of the records of an LMDB, or of a set of other partitions, as RecordImport does. Keys and
// values stay as they are, byte for byte, so that a position means the same record in both. Every record is checked,
// but for the pixels of encoded ones. Errors of Dataset and RecordImport. REQUIRES: options.partitions >= 1
absl::StatusOr<ImportSummary> PartitionDataset(const std::string& source, const std::string& set_path,
                                               const ImportOptions& options);

}  // namespace samovar
