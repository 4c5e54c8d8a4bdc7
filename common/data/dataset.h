// Dataset reads the records (caffe.Datum) of a Caffe LMDB by position. Positions number the records in the order of
// keys, from 0.
//
// Thread safety: all methods may be called from any thread.
// Invariants:
//   (1) one object a directory: opening it again while it is open gives the same one (LMDB's rule, see lmdb.h).
//   (2) what it reads does not change: one read transaction stays open as long as the object lives.
//   (3) index_[i] is the value at position i, inside the map. 16 bytes a record. Views instead of keys: a read is then
//       a pointer away, and the map of a read-only environment never moves. Keys are looked up only to name them in
//       errors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "caffe.pb.h"
#include "common/data/image.h"
#include "common/data/lmdb.h"
#include "common/data/record_shape.h"

namespace samovar {

class Dataset {
 public:
  // Opens an LMDB directory for reading and lists its records: a few milliseconds for 60,000 small ones in memory.
  // NOT_FOUND: no such directory. INVALID_ARGUMENT: not an LMDB, no records, or the first one is not a Datum or not an
  // image. DATA_LOSS: a damaged file.
  static absl::StatusOr<std::shared_ptr<Dataset>> Open(const std::string& path);

  uint64_t size() const { return index_.size(); }
  // Of the first record, decoded; all others must have the same, but encoded ones may differ in height and width.
  RecordShape shape(ImageChannels channels = ImageChannels::kAsStored) const;
  // Whether the first record is an encoded (JPEG, PNG) image.
  bool encoded() const { return encoded_; }
  // As given to the Open that made the object.
  const std::string& path() const { return path_; }

  // Reads a record and decodes it, if it is encoded, to these channels: channels, height and width are set, and `data` holds
  // as many bytes, or, if it is empty, `float_data` as many finite floats. Reuse the Datum: its memory is kept. May read the
  // disk. DATA_LOSS: the value is not a Datum of this shape, or a damaged image; the message names path and key.
  // INVALID_ARGUMENT, UNIMPLEMENTED: of DecodeImage. OUT_OF_RANGE: no such position.
  absl::Status Read(uint64_t position, caffe::Datum* datum, ImageChannels channels = ImageChannels::kAsStored) const;
  // The same, but encoded records stay as they are, unread.
  absl::Status ReadStored(uint64_t position, caffe::Datum* datum) const;

  // "PATH, key KEY": how errors name a record. Slow.
  std::string NameOf(uint64_t position) const;

 private:
  Dataset(std::string path, std::unique_ptr<LmdbEnvironment> environment, LmdbTransaction transaction)
      : path_(std::move(path)), environment_(std::move(environment)), transaction_(std::move(transaction)) {}

  static absl::StatusOr<std::unique_ptr<Dataset>> OpenNew(const std::string& path);
  absl::Status BuildIndex();
  absl::Status ReadShape();
  // What is wrong with a record of this set that is not encoded; the message does not name it.
  absl::Status Check(const caffe::Datum& datum) const;
  absl::Status Decode(ImageChannels channels, caffe::Datum* datum) const;
  const std::string path_;
  const std::unique_ptr<LmdbEnvironment> environment_;
  const LmdbTransaction transaction_;
  std::vector<absl::string_view> index_;  // constant after Open
  RecordShape shape_;                     // constant after Open
  bool encoded_ = false;                  // constant after Open
};

}  // namespace samovar
