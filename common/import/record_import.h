// RecordImport makes a data set of records, an LMDB or a partitioned set, for all importers.
//
// The set is written beside its place and moved there when it is complete (staged_directory.h), or sent to its storage
// partition by partition (set_upload.h), so there is never half of one; the files of a failed import are removed with
// the object, but for those in a storage, which the next import there replaces.
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
#include "absl/strings/string_view.h"
#include "caffe.pb.h"
#include "common/base/stopper.h"
#include "common/data/partition_cut.h"
#include "common/data/record_shape.h"
#include "common/import/set_upload.h"
#include "common/import/staged_directory.h"
#include "common/storage/lmdb.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {

struct ImportOptions {
  // Replace an existing data set.
  bool force = false;
  // Make a partitioned set of so many LMDBs; 0: an LMDB.
  uint32_t partitions = 0;
  // The LMDB is to be a partition of a set: it has a report beside it, the manifest of a set of this partition alone.
  // The same partition may be there already.
  bool describe = false;
  // Receives now and then, and at the end, how many of all records are taken. May be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
  // Ends the import when it is stopped. May be null.
  const Stopper* stopper = nullptr;
  // Where the inputs are, and where the data set goes.
  StorageTable storage = {};
  // Hears of large files that are sent to a storage. May be empty.
  std::function<void(const std::string& news)> tell = {};
};

struct ImportSummary {
  uint64_t records = 0;
  // The first record's shape, and whether all others have the same.
  RecordShape shape;
  bool same_shape = true;
  // Smallest and largest label seen.
  int min_label = 0;
  int max_label = 0;
  // The size of the data files together.
  uint64_t file_bytes = 0;
  // If it has a manifest or is described, as ImportOptions say; a partition's directory is the target's name.
  v1::DatasetManifest manifest = {};
};

class RecordImport {
 public:
  // `total`: the number of records to come, for the progress, for the partitions, and for a bound: keys have 8 digits.
  // 0, if they are to be an LMDB: it is not known.
  // Makes the parents of the directory. Errors of CheckSetTarget, and those of the system. INVALID_ARGUMENT: more
  // partitions than records.
  static absl::StatusOr<std::unique_ptr<RecordImport>> Begin(const std::string& set_path, uint64_t total,
                                                             const ImportOptions& options);
  ~RecordImport();
  RecordImport(const RecordImport&) = delete;
  RecordImport& operator=(const RecordImport&) = delete;

  // Keys must differ, and ascend (bytewise) in a partitioned set, and in a partition. `shape`: of the record, decoded.
  // RESOURCE_EXHAUSTED: the disk is full. CANCELLED: the stopper was stopped.
  absl::Status Add(std::string key, const caffe::Datum& datum, const RecordShape& shape);
  // The same with the datum as it is serialised.
  absl::Status AddSerialised(std::string key, std::string value, const caffe::Datum& datum, const RecordShape& shape);

  // Writes the last records and puts the set in its place. INVALID_ARGUMENT: other records than were announced.
  // ALREADY_EXISTS: another process has put one there meanwhile, and it is not to be replaced, or is another partition.
  absl::StatusOr<ImportSummary> Finish();

 private:
  RecordImport(std::string target, uint64_t total, const ImportOptions& options);
  // Opens the LMDB that the next records go to.
  absl::Status OpenNext();
  // Writes its pending records and closes it.
  absl::Status CloseCurrent();
  absl::Status Flush();
  absl::Status CheckStopped() const;
  // An error with the path of the set, where it has that of the directory in which the set is made.
  absl::Status InUsersWords(const absl::Status& status) const;
  absl::Status AddOne(std::string key, std::string value, const caffe::Datum& datum, const RecordShape& shape);
  absl::StatusOr<ImportSummary> FinishAll();
  // Its error, or why it was ended.
  absl::Status UnlessStopped(const absl::Status& status) const;
  // Puts the whole set in its place.
  absl::Status Publish();
  absl::Status PublishPartition();
  std::string CurrentDirectory() const;
  // Whether what is made is described by a manifest: a partitioned set, or a partition of one.
  bool IsOfSet() const { return options_.partitions > 0 || options_.describe; }

  const std::string target_;
  const uint64_t total_;
  const ImportOptions options_;
  // An LMDB has one partition.
  const PartitionCut cut_;
  std::unique_ptr<StagedDirectory> staging_;
  // Null: the set is of this machine.
  std::unique_ptr<SetUpload> upload_;
  std::unique_ptr<LmdbEnvironment> environment_;
  // The partition that environment_ is.
  uint32_t current_ = 0;
  std::string last_key_;
  v1::DatasetManifest manifest_;
  // The records of the next transaction.
  std::vector<std::pair<std::string, std::string>> pending_;
  uint64_t pending_bytes_ = 0;
  ImportSummary summary_;
};

}  // namespace samovar
