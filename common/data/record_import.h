// RecordImport makes an LMDB of records: what all importers have in common.
//
// The LMDB is written beside its place and moved there when it is complete, so there is never half of one; what a failed
// import has written is removed with the object.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/lmdb.h"
#include "common/data/record_shape.h"

namespace samovar {

struct ImportOptions {
  // Replace an existing LMDB.
  bool force = false;
  // Told now and then, and at the end, how many of all records are taken. May be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct ImportSummary {
  uint64_t records = 0;
  // Of the first record, and whether all others have the same.
  RecordShape shape;
  bool same_shape = true;
  // Smallest and largest label seen.
  int min_label = 0;
  int max_label = 0;
  // Of the LMDB's data file.
  uint64_t file_bytes = 0;
};

class RecordImport {
 public:
  // The path of the LMDB directory as it is used, without slashes at its end. ALREADY_EXISTS: there is something, and
  // `force` is not set; with `force`, anything but an LMDB is still refused. Begin checks it again.
  static absl::StatusOr<std::string> CheckTarget(const std::string& lmdb_path, bool force);

  // `total`: the number of records to come, for the progress and for a bound: keys have 8 digits.
  // Makes the parents of the directory. Errors as CheckTarget's, and those of the system.
  static absl::StatusOr<std::unique_ptr<RecordImport>> Begin(const std::string& lmdb_path, uint64_t total,
                                                             const ImportOptions& options);
  ~RecordImport();
  RecordImport(const RecordImport&) = delete;
  RecordImport& operator=(const RecordImport&) = delete;

  // Keys must differ. `shape`: of the record, decoded. RESOURCE_EXHAUSTED: the disk is full.
  absl::Status Add(std::string key, const caffe::Datum& datum, const RecordShape& shape);

  // Writes what is left and puts the LMDB in its place.
  absl::StatusOr<ImportSummary> Finish();

 private:
  class Staging;

  RecordImport(std::string target, uint64_t total, const ImportOptions& options);
  absl::Status Flush();

  const std::string target_;
  const uint64_t total_;
  const ImportOptions options_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<LmdbEnvironment> environment_;
  // Of the next transaction.
  std::vector<std::pair<std::string, std::string>> pending_;
  uint64_t pending_bytes_ = 0;
  ImportSummary summary_;
};

}  // namespace samovar
