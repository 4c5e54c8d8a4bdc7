#include "common/import/partition_write.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/printable.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/data/image_decoder.h"
#include "common/storage/big_endian.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

constexpr absl::string_view kNamePrefix = "part-";
// The longest key that LMDB takes.
constexpr uint32_t kMaxKeyBytes = 511;
// Protobuf's limit.
constexpr uint32_t kMaxValueBytes = std::numeric_limits<int32_t>::max();
// Memory is taken in such pieces, as the bytes come: a length may be a lie.
constexpr size_t kPieceBytes = 4 << 20;
// Whether the reader was stopped is looked at this often.
constexpr int kTickMilliseconds = 200;
// A writer that has written the end mark closes the stream at once.
constexpr absl::Duration kEndTimeout = absl::Seconds(30);

std::string RecordName(absl::string_view key) { return absl::StrCat("record \"", Printable(key, kMaxKeyBytes), "\""); }

// Reads the records of a stream.
class RecordStream {
 public:
  // `stopper` may be null.
  RecordStream(int input, const Stopper* stopper) : input_(input), stopper_(stopper) {}

  // False: the stream has ended well.
  absl::StatusOr<bool> Next(std::string* key, std::string* value) {
    SAMOVAR_ASSIGN_OR_RETURN(const uint32_t key_bytes, ReadNumber());
    if (key_bytes == 0) return false;
    if (key_bytes > kMaxKeyBytes) {
      return absl::InvalidArgumentError(absl::StrCat("the key after ", After(), " has ", key_bytes,
                                                     " bytes; LMDB takes keys of 1 to ", kMaxKeyBytes));
    }
    SAMOVAR_RETURN_IF_ERROR(Read(key_bytes, key));
    SAMOVAR_ASSIGN_OR_RETURN(const uint32_t value_bytes, ReadNumber());
    if (value_bytes > kMaxValueBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(RecordName(*key), ": has ", value_bytes, " bytes; a Datum has ", kMaxValueBytes, " at most"));
    }
    SAMOVAR_RETURN_IF_ERROR(Read(value_bytes, value));
    last_key_ = *key;
    return true;
  }

  // Whether the stream ends behind its end mark: what comes there would be lost without a word.
  absl::Status CheckEnd() {
    const absl::Time deadline = SteadyNow() + kEndTimeout;
    char byte = 0;
    SAMOVAR_ASSIGN_OR_RETURN(const size_t count, ReadOrEnd(&byte, 1, deadline));
    if (count == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the records go on behind their end mark, which comes after ",
                                                   After(), "; write the mark, a length of 0, once, at the end"));
  }

 private:
  std::string After() const { return last_key_.empty() ? "the beginning" : RecordName(last_key_); }

  absl::StatusOr<uint32_t> ReadNumber() {
    std::string bytes;
    SAMOVAR_RETURN_IF_ERROR(Read(sizeof(uint32_t), &bytes));
    return static_cast<uint32_t>(BigEndianIn(bytes));
  }

  absl::Status Read(size_t bytes, std::string* out) {
    out->clear();
    while (out->size() < bytes) {
      const size_t done = out->size();
      out->resize(std::min(bytes, done + kPieceBytes));
      SAMOVAR_ASSIGN_OR_RETURN(const size_t count, ReadSome(out->data() + done, out->size() - done));
      out->resize(done + count);
    }
    return absl::OkStatus();
  }

  // At least one byte.
  absl::StatusOr<size_t> ReadSome(char* out, size_t bytes) {
    SAMOVAR_ASSIGN_OR_RETURN(const size_t count, ReadOrEnd(out, bytes, absl::InfiniteFuture()));
    if (count > 0) return count;
    return absl::InvalidArgumentError(
        absl::StrCat("the records end after ", After(), " without their end mark: whoever writes them was ended"));
  }

  // 0: the end.
  absl::StatusOr<size_t> ReadOrEnd(char* out, size_t bytes, absl::Time deadline) {
    while (true) {
      if (stopper_ != nullptr && stopper_->stopped()) return absl::CancelledError("interrupted; nothing was made");
      if (SteadyNow() > deadline) {
        return absl::InvalidArgumentError(absl::StrCat("the input stays open behind the records' end mark for ",
                                                       absl::FormatDuration(kEndTimeout),
                                                       "; close it there: nothing may follow"));
      }
      pollfd waiting = {input_, POLLIN, 0};
      const int ready = poll(&waiting, 1, kTickMilliseconds);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      const ssize_t count = ready < 0 ? -1 : read(input_, out, bytes);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, "read", "the records");
      return static_cast<size_t>(count);
    }
  }

  const int input_;
  const Stopper* const stopper_;
  std::string last_key_;
};

// Checks records, which must be alike.
class RecordCheck {
 public:
  // The shape of the record, decoded. Messages do not name it.
  absl::StatusOr<RecordShape> ShapeOf(const caffe::Datum& datum) {
    SAMOVAR_ASSIGN_OR_RETURN(const RecordShape shape, datum.encoded() ? Decoded(datum) : Stored(datum));
    if (!first_.has_value()) {
      first_ = shape;
      encoded_ = datum.encoded();
    }
    if (datum.encoded() != encoded_) {
      return absl::InvalidArgumentError(
          absl::StrCat("is ", datum.encoded() ? "" : "not ", "encoded, other than the first record"));
    }
    if (shape.channels != first_->channels) {
      return absl::InvalidArgumentError(
          absl::StrCat("has ", shape.channels, " channels, but the first record has ", first_->channels));
    }
    return shape;
  }

 private:
  absl::StatusOr<RecordShape> Decoded(const caffe::Datum& datum) {
    SAMOVAR_RETURN_IF_ERROR(DecodeImage(datum.data(), ImageChannels::kAsStored, &image_));
    return image_.shape;
  }

  static absl::StatusOr<RecordShape> Stored(const caffe::Datum& datum) {
    const RecordShape shape = {datum.channels(), datum.height(), datum.width()};
    const size_t values = datum.data().empty() ? static_cast<size_t>(datum.float_data_size()) : datum.data().size();
    const bool fits =
        shape.channels > 0 && shape.height > 0 && shape.width > 0 &&
        static_cast<double>(shape.channels) * shape.height * shape.width <= static_cast<double>(kMaxRecordElements);
    if (!fits || values != shape.elements()) {
      return absl::InvalidArgumentError(
          absl::StrCat("has ", values, " values; its shape is ", ToString(shape), " (channels x height x width)"));
    }
    for (const float value : datum.float_data()) {
      if (!std::isfinite(value)) return absl::InvalidArgumentError("has a value that is not finite");
    }
    return shape;
  }

  std::optional<RecordShape> first_;
  bool encoded_ = false;
  Image image_;
};

absl::Status AddAll(RecordStream* stream, RecordImport* import) {
  RecordCheck check;
  std::string key, value;
  caffe::Datum datum;
  while (true) {
    SAMOVAR_ASSIGN_OR_RETURN(const bool more, stream->Next(&key, &value));
    if (!more) return stream->CheckEnd();
    if (!datum.ParseFromString(value)) {
      return absl::InvalidArgumentError(absl::StrCat(RecordName(key), ": its value is not a Datum of Caffe"));
    }
    const absl::StatusOr<RecordShape> shape = check.ShapeOf(datum);
    if (!shape.ok()) return Annotate(shape.status(), RecordName(key));
    SAMOVAR_RETURN_IF_ERROR(import->AddSerialised(std::move(key), std::move(value), datum, *shape));
  }
}

std::string WithoutSlashes(std::string set) {
  while (set.size() > 1 && set.back() == '/') set.pop_back();
  return set;
}

// The set as a path of this machine, if it is on it.
std::string PlaceOf(const std::string& set) { return WithoutSlashes(LocalPath(set).value_or(set)); }

}  // namespace

absl::StatusOr<v1::DatasetManifest> WritePartition(int input, const std::string& set, const std::string& name,
                                                   ImportOptions options) {
  if (!absl::StartsWith(name, kNamePrefix) || !IsPartitionDirectory(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(name, kMaxKeyBytes),
                     "\" names no partition; begin with part- and take letters, digits, '-', '_' and '.', 64 at most"));
  }
  options.partitions = 0;
  options.describe = true;
  options.progress = nullptr;
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordImport> import,
                           RecordImport::Begin(absl::StrCat(PlaceOf(set), "/", name), 0, options));
  RecordStream stream(input, options.stopper);
  SAMOVAR_RETURN_IF_ERROR(AddAll(&stream, import.get()));
  SAMOVAR_ASSIGN_OR_RETURN(ImportSummary summary, import->Finish());
  return std::move(summary.manifest);
}

absl::Status CheckJoinTarget(const std::string& set, bool force, const StorageTable& storage) {
  return CheckJoinedSetTarget(PlaceOf(set), force, storage, {});
}

absl::StatusOr<v1::DatasetManifest> JoinPartitions(const std::string& set,
                                                   const std::vector<v1::DatasetManifest>& parts, bool force,
                                                   const StorageTable& storage,
                                                   const std::function<void(const std::string&)>& tell) {
  if (parts.empty()) return absl::InvalidArgumentError("there are no partitions to be joined");
  v1::DatasetManifest manifest = parts[0];
  manifest.clear_partitions();
  manifest.set_records(0);
  for (size_t i = 0; i < parts.size(); ++i) {
    const v1::DatasetManifest& part = parts[i];
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckManifest(part), absl::StrCat("line ", i + 1, " of the input")));
    for (const v1::DatasetPartition& partition : part.partitions()) {
      if (part.channels() != manifest.channels() || part.encoded() != manifest.encoded()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "partition ", partition.directory(), " has ", part.encoded() ? "encoded images" : "records", " of ",
            part.channels(), part.channels() == 1 ? " channel" : " channels", ", but the first one has ",
            manifest.encoded() ? "encoded images" : "records", " of ", manifest.channels()));
      }
      *manifest.add_partitions() = partition;
      manifest.set_records(manifest.records() + partition.records());
    }
  }
  SAMOVAR_RETURN_IF_ERROR(CheckManifest(manifest));
  const std::string place = PlaceOf(set);
  SAMOVAR_RETURN_IF_ERROR(CheckJoinedSetTarget(place, force, storage, tell));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<SetUpload> upload, SetUpload::Begin(place, storage, {}));
  for (const v1::DatasetManifest& part : parts) {
    SAMOVAR_RETURN_IF_ERROR(CheckReport(place, part, storage));
    SAMOVAR_RETURN_IF_ERROR(CheckPartitionSize(place, part.partitions(0), storage));
    upload->Keep(part.partitions(0).directory());
  }
  SAMOVAR_RETURN_IF_ERROR(upload->FinishSet(manifest));
  return manifest;
}

}  // namespace samovar
