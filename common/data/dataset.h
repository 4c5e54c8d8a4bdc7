// Dataset reads the records (caffe.Datum) of a data set by position: of a Caffe LMDB, or of a partitioned data set,
// which is a directory with a manifest and an LMDB for each partition (README.md). Positions number the records in the
// order of keys, from 0; in a partitioned set, partition after partition, which are the positions in the LMDB that it
// was made of.
//
// An LMDB is open as long as the object lives. A set's partitions are opened when a record of theirs is read.
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "caffe.pb.h"
#include "common/data/datum_view.h"
#include "common/data/image.h"
#include "common/data/lmdb_records.h"
#include "common/data/partition_cut.h"
#include "common/data/partition_source.h"
#include "common/data/record_shape.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/dataset.pb.h"

namespace samovar {

class Dataset {
 public:
  // Partitions that stay open where they lie: those that were read last. Each takes two file descriptors.
  static constexpr size_t kMaxOpen = 64;

  // Opens a directory, a path or a URI. `source`: opens a set's partitions and outlives the object; null, or it does
  // not serve the set: they are opened where they lie. In a storage an LMDB is fetched whole; of a set the manifest is
  // read, and without a source each partition is fetched when a record of it is read. NOT_FOUND: no such directory, or
  // a partition is missing. INVALID_ARGUMENT: neither an LMDB nor a partitioned set, no records, or the first one of an
  // LMDB is not a Datum or not an image. DATA_LOSS: a damaged file, also the manifest.
  static absl::StatusOr<std::shared_ptr<Dataset>> Open(const std::string& path, const StorageTable& storage,
                                                       PartitionSource* source = nullptr);

  uint64_t size() const { return cut_.records; }
  // The shape of the first record, decoded; all others have as many channels, and may differ in height and width.
  RecordShape shape(ImageChannels channels = ImageChannels::kAsStored) const;
  // Whether the first record is an encoded (JPEG, PNG) image.
  bool encoded() const { return encoded_; }
  // The directory: of a set as it was given to Open, of an LMDB where it is on this machine.
  const std::string& path() const { return path_; }
  // Partitions that the set is stored in; 1 for an LMDB.
  uint32_t partitions() const { return cut_.partitions; }
  // The manifest of a partitioned set; else null.
  const v1::DatasetManifest* manifest() const { return manifest_.get(); }
  // The records of a plain LMDB; null if the set is partitioned.
  const LmdbRecords* lmdb() const { return lmdb_.get(); }

  // Reads a record and decodes it, if it is encoded, to these channels: channels, height and width are set, and `data`
  // holds as many bytes, or, if it is empty, `float_data` as many finite floats. Reuse the Datum: its memory is kept.
  // May read the disk. DATA_LOSS: the value is not a Datum whose values are as many as its shape says, or a damaged
  // image; the message names path and key. INVALID_ARGUMENT, UNIMPLEMENTED: of DecodeImage. OUT_OF_RANGE: no such
  // position. Errors of opening its partition.
  absl::Status Read(uint64_t position, caffe::Datum* datum, ImageChannels channels = ImageChannels::kAsStored) const;
  // The same, but encoded records stay as they are, unread.
  absl::Status ReadStored(uint64_t position, caffe::Datum* datum) const;

  // A record where it lies; valid as long as the object.
  struct Stored {
    std::shared_ptr<const LmdbRecords> records;
    DatumView datum;
  };
  // A record that is stored as bytes, as many as its shape says, or, if the set's records are encoded, as an image,
  // which is not looked at. nullopt: it is another one; Read reads it, or says what is wrong. OUT_OF_RANGE, and errors
  // of opening its partition, as of Read.
  absl::StatusOr<std::optional<Stored>> View(uint64_t position) const;

  // All keys, in order. DATA_LOSS: a damaged file. Errors of opening partitions.
  absl::StatusOr<std::vector<std::string>> Keys() const;
  // Gives each record to `visit`, in order, as it is stored and parsed, but not decoded. Errors of ReadStored and of
  // `visit`.
  absl::Status ForEach(
      absl::FunctionRef<absl::Status(const std::string& key, absl::string_view value, const caffe::Datum& datum)> visit)
      const;
  // "PATH, key KEY": how errors name a record. Slow.
  std::string NameOf(uint64_t position) const;

 private:
  // A record, and the LMDB that it is in.
  struct Place {
    std::shared_ptr<const LmdbRecords> records;
    uint64_t position = 0;
    absl::string_view value() const { return records->value(position); }
    std::string Name() const { return records->NameOf(position); }
  };

  Dataset(std::string path, PartitionSource* source, const StorageTable& storage)
      : path_(std::move(path)), source_(source), storage_(storage) {}

  absl::Status OpenLmdb();
  absl::Status OpenSet();
  absl::Status ReadShape();
  absl::StatusOr<std::shared_ptr<const LmdbRecords>> Partition(uint32_t partition) const ABSL_LOCKS_EXCLUDED(mu_);
  // If it is open; else null.
  std::shared_ptr<const LmdbRecords> FindOpen(uint32_t partition) const ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::shared_ptr<const LmdbRecords>> OpenPartition(uint32_t partition) const ABSL_LOCKS_EXCLUDED(mu_);
  // The directory of a partition, on this machine, without a source.
  absl::StatusOr<std::string> FindPartition(const v1::DatasetPartition& partition) const;
  // OUT_OF_RANGE: no such position. Errors of opening its partition.
  absl::StatusOr<Place> Find(uint64_t position) const;
  absl::Status ReadStoredAt(const Place& place, caffe::Datum* datum) const;
  // Checks a record of this set that is not encoded; the message does not name it.
  absl::Status Check(const caffe::Datum& datum) const;
  absl::Status Decode(ImageChannels channels, caffe::Datum* datum) const;

  const std::string path_;
  PartitionSource* const source_;
  const StorageTable storage_;
  // Constant after Open.
  PartitionCut cut_;
  std::unique_ptr<const v1::DatasetManifest> manifest_;
  // The records of an LMDB; else null.
  std::shared_ptr<const LmdbRecords> lmdb_;
  RecordShape shape_;
  bool encoded_ = false;

  mutable absl::Mutex mu_;  // held for no I/O
  // Without a source: those that are open, with their numbers, the one that was read last first.
  mutable std::vector<std::pair<uint32_t, std::shared_ptr<const LmdbRecords>>> open_ ABSL_GUARDED_BY(mu_);
  // With a source, which decides which partitions stay open: the one that was read last.
  mutable uint32_t last_ ABSL_GUARDED_BY(mu_) = 0;
  mutable std::weak_ptr<const LmdbRecords> last_records_ ABSL_GUARDED_BY(mu_);
};

}  // namespace samovar
