#include "common/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/data/image_decoder.h"
#include "common/data/leveldb_advice.h"
#include "common/data/records_digest.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// One factor at a time, so that the product cannot overflow.
bool CanBe(const RecordShape& shape) {
  const auto fits = [](int size) { return size >= 1 && static_cast<size_t>(size) <= kMaxRecordElements; };
  return fits(shape.channels) && fits(shape.height) && fits(shape.width) &&
         static_cast<size_t>(shape.channels) * static_cast<size_t>(shape.height) <= kMaxRecordElements &&
         shape.elements() <= kMaxRecordElements;
}

bool Parse(absl::string_view value, caffe::Datum* datum) {
  return value.size() <= static_cast<size_t>(std::numeric_limits<int>::max()) &&
         datum->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

// INVALID_ARGUMENT if the bytes, which are taken for values, are those of an image file.
absl::Status CheckNoImageFile(absl::string_view data) {
  const ImageFormat format = ImageFormatOf(data);
  if (format == ImageFormat::kUnknown) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("looks like a ", format == ImageFormat::kJpeg ? "JPEG" : "PNG", " image (", data.size(),
                   " bytes), but its field `encoded` is not set; make the records anew with encoded: ",
                   "true, or with `samovar data import images`"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<Dataset>> Dataset::Open(const std::string& path, const StorageTable& storage,
                                                       PartitionSource* source) {
  std::string directory(path);
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  const bool is_here = LocalPath(directory).ok();
  if (is_here) directory = *LocalPath(directory);
  SAMOVAR_ASSIGN_OR_RETURN(const bool is_set, IsPartitioned(directory, storage));
  if (!is_set) {
    SAMOVAR_ASSIGN_OR_RETURN(directory, storage.Fetch(is_here ? directory : path));
  }
  PartitionSource* const serving = source != nullptr && source->Serves(directory) ? source : nullptr;
  std::shared_ptr<Dataset> dataset(new Dataset(directory, serving, storage));
  SAMOVAR_RETURN_IF_ERROR(is_set ? dataset->OpenSet() : dataset->OpenLmdb());
  return dataset;
}

absl::Status Dataset::OpenLmdb() {
  std::error_code error;
  if (!std::filesystem::exists(path_ + "/data.mdb", error) &&
      std::filesystem::exists(absl::StrCat(path_, "/", PartitionName(0)), error)) {
    return absl::NotFoundError(absl::StrCat(path_, "/", kManifestName,
                                            ": no such file, although there are partitions beside it; copy ",
                                            "the whole set again, or make it anew with `samovar data partition`"));
  }
  if (IsLevelDb(path_))
    return absl::InvalidArgumentError(absl::StrCat(path_, ": is a LevelDB; ", LevelDbAdvice(path_)));
  SAMOVAR_ASSIGN_OR_RETURN(lmdb_, LmdbRecords::Open(path_));
  cut_.records = lmdb_->size();
  return ReadShape();
}

absl::Status Dataset::OpenSet() {
  SAMOVAR_ASSIGN_OR_RETURN(v1::DatasetManifest manifest, ReadManifest(path_, storage_));
  // In a storage that would be a request for each: they are compared when they are fetched.
  if (LocalPath(path_).ok()) {
    for (const v1::DatasetPartition& partition : manifest.partitions())
      SAMOVAR_RETURN_IF_ERROR(CheckPartitionSize(path_, partition));
  }
  cut_ = {manifest.records(), static_cast<uint32_t>(manifest.partitions_size())};
  shape_ = {static_cast<int>(manifest.channels()), static_cast<int>(manifest.height()),
            static_cast<int>(manifest.width())};
  encoded_ = manifest.encoded();
  manifest_ = std::make_unique<v1::DatasetManifest>(std::move(manifest));
  return absl::OkStatus();
}

absl::StatusOr<std::string> Dataset::FindPartition(const v1::DatasetPartition& partition) const {
  SAMOVAR_RETURN_IF_ERROR(CheckPartitionSize(path_, partition, storage_));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string directory,
                           storage_.Fetch(absl::StrCat(path_, "/", partition.directory())));
  if (LocalPath(path_).ok()) return directory;
  const std::string copies = std::filesystem::path(directory).parent_path().string();
  SAMOVAR_RETURN_IF_ERROR(
      Annotate(ReadPartition(copies, partition, [](absl::string_view) { return absl::OkStatus(); }), path_));
  return directory;
}

absl::StatusOr<std::shared_ptr<const LmdbRecords>> Dataset::OpenPartition(uint32_t partition) const {
  const v1::DatasetPartition& entry = manifest_->partitions(static_cast<int>(partition));
  absl::StatusOr<std::shared_ptr<const LmdbRecords>> records;
  if (source_ != nullptr) {
    records = source_->Open(path_, entry);
  } else {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string directory, FindPartition(entry));
    records = LmdbRecords::Open(directory);
  }
  if (!records.ok()) return records;
  if ((*records)->size() != entry.records()) {
    return absl::DataLossError(absl::StrCat((*records)->path(), ": has ", (*records)->size(), " records, but ",
                                            entry.records(), " by the manifest of ", path_,
                                            "; make the set anew with `samovar data partition`"));
  }
  if (entry.sample().empty()) return records;
  SAMOVAR_ASSIGN_OR_RETURN(const std::string sample, DigestOfRecords(**records, entry.records()));
  if (sample == entry.sample()) return records;
  return absl::DataLossError(
      absl::StrCat((*records)->path(), ": has other records than the manifest of ", path_,
                   " was made for (a sample of them differs); copy the whole set again, or make ",
                   "it anew with `samovar data partition`"));
}

std::shared_ptr<const LmdbRecords> Dataset::FindOpen(uint32_t partition) const {
  absl::MutexLock l(&mu_);
  if (source_ != nullptr) return last_ == partition ? last_records_.lock() : nullptr;
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const auto& open) { return open.first == partition; });
  if (found == open_.end()) return nullptr;
  std::rotate(open_.begin(), found, found + 1);
  return open_.front().second;
}

absl::StatusOr<std::shared_ptr<const LmdbRecords>> Dataset::Partition(uint32_t partition) const {
  if (lmdb_ != nullptr) return lmdb_;
  if (std::shared_ptr<const LmdbRecords> open = FindOpen(partition)) return open;
  // Two threads that come here with the same partition get the same.
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<const LmdbRecords> records, OpenPartition(partition));
  std::shared_ptr<const LmdbRecords> closed;  // without the lock
  absl::MutexLock l(&mu_);
  if (source_ != nullptr) {
    last_ = partition;
    last_records_ = records;
    return records;
  }
  if (open_.size() == kMaxOpen) {
    closed = std::move(open_.back().second);
    open_.pop_back();
  }
  open_.emplace(open_.begin(), partition, records);
  return records;
}

absl::StatusOr<Dataset::Place> Dataset::Find(uint64_t position) const {
  if (position >= size())
    return absl::OutOfRangeError(absl::StrCat(path_, ": no record ", position, "; it has ", size()));
  const uint32_t partition = cut_.Of(position);
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<const LmdbRecords> records, Partition(partition));
  return Place{std::move(records), position - cut_.Begin(partition)};
}

absl::StatusOr<std::vector<std::string>> Dataset::Keys() const {
  std::vector<std::string> keys;
  keys.reserve(size());
  for (uint32_t i = 0; i < partitions(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const LmdbRecords> records, Partition(i));
    SAMOVAR_RETURN_IF_ERROR(records->AppendKeys(&keys));
  }
  return keys;
}

absl::Status Dataset::ForEach(
    absl::FunctionRef<absl::Status(const std::string&, absl::string_view, const caffe::Datum&)> visit) const {
  caffe::Datum datum;
  for (uint32_t i = 0; i < partitions(); ++i) {
    SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<const LmdbRecords> records, Partition(i));
    std::vector<std::string> keys;
    SAMOVAR_RETURN_IF_ERROR(records->AppendKeys(&keys));
    for (Place place{records, 0}; place.position < records->size(); ++place.position) {
      SAMOVAR_RETURN_IF_ERROR(ReadStoredAt(place, &datum));
      SAMOVAR_RETURN_IF_ERROR(visit(keys[place.position], place.value(), datum));
    }
  }
  return absl::OkStatus();
}

std::string Dataset::NameOf(uint64_t position) const {
  const absl::StatusOr<Place> place = Find(position);
  return place.ok() ? place->Name() : absl::StrCat(path_, ", record ", position);
}

absl::Status Dataset::ReadShape() {
  caffe::Datum datum;
  if (!Parse(lmdb_->value(0), &datum))
    return absl::InvalidArgumentError(absl::StrCat(NameOf(0), ": not a Datum of Caffe; is this LMDB a data set?"));
  encoded_ = datum.encoded();
  if (encoded_) {
    Image image;
    const absl::Status decoded = DecodeImage(datum.data(), ImageChannels::kAsStored, &image);
    if (!decoded.ok()) return Annotate(decoded, NameOf(0));
    shape_ = image.shape;
    return absl::OkStatus();
  }
  shape_ = {datum.channels(), datum.height(), datum.width()};
  if (!CanBe(shape_)) {
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckNoImageFile(datum.data()), NameOf(0)));
    return absl::InvalidArgumentError(absl::StrCat(NameOf(0), ": has the shape ", ToString(shape_),
                                                   " (channels x height x width); a record has 1 to ",
                                                   kMaxRecordElements, " values; is this LMDB a data set?"));
  }
  const absl::Status status = Check(datum);
  return status.ok() ? status : Annotate(status, NameOf(0));
}

RecordShape Dataset::shape(ImageChannels channels) const {
  if (!encoded_ || channels == ImageChannels::kAsStored) return shape_;
  return {channels == ImageChannels::kColour ? 3 : 1, shape_.height, shape_.width};
}

absl::Status Dataset::ReadStoredAt(const Place& place, caffe::Datum* datum) const {
  if (!Parse(place.value(), datum)) return absl::DataLossError(absl::StrCat(place.Name(), ": not a Datum of Caffe"));
  if (datum->encoded() != encoded_) {
    return absl::DataLossError(
        absl::StrCat(place.Name(), ": is ", datum->encoded() ? "" : "not ", "encoded, other than the first record"));
  }
  if (encoded_) return absl::OkStatus();
  const absl::Status status = Check(*datum);
  return status.ok() ? status : Annotate(status, place.Name());
}

absl::Status Dataset::ReadStored(uint64_t position, caffe::Datum* datum) const {
  SAMOVAR_ASSIGN_OR_RETURN(const Place place, Find(position));
  return ReadStoredAt(place, datum);
}

absl::StatusOr<std::optional<Dataset::Stored>> Dataset::View(uint64_t position) const {
  SAMOVAR_ASSIGN_OR_RETURN(Place place, Find(position));
  const std::optional<DatumView> datum = ViewDatum(place.value());
  if (!datum.has_value() || datum->encoded != encoded_) return std::nullopt;
  const RecordShape& shape = datum->shape;
  const bool as_it_says = shape.channels == shape_.channels && CanBe(shape) && datum->data.size() == shape.elements();
  if (!encoded_ && !as_it_says) return std::nullopt;
  return Stored{std::move(place.records), *datum};
}

absl::Status Dataset::Read(uint64_t position, caffe::Datum* datum, ImageChannels channels) const {
  SAMOVAR_ASSIGN_OR_RETURN(const Place place, Find(position));
  SAMOVAR_RETURN_IF_ERROR(ReadStoredAt(place, datum));
  if (!encoded_) return absl::OkStatus();
  const absl::Status status = Decode(channels, datum);
  return status.ok() ? status : Annotate(status, place.Name());
}

absl::Status Dataset::Decode(ImageChannels channels, caffe::Datum* datum) const {
  Image image;
  SAMOVAR_RETURN_IF_ERROR(DecodeImage(datum->data(), channels, &image));
  const RecordShape expected = shape(channels);
  if (image.shape.channels != expected.channels) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", image.shape.channels, " channels, but the first record has ", expected.channels,
                     "; set force_color or force_gray in transform_param, or ", "import the images anew"));
  }
  datum->set_channels(image.shape.channels);
  datum->set_height(image.shape.height);
  datum->set_width(image.shape.width);
  datum->mutable_data()->swap(image.data);
  datum->set_encoded(false);
  return absl::OkStatus();
}

absl::Status Dataset::Check(const caffe::Datum& datum) const {
  const RecordShape shape = {datum.channels(), datum.height(), datum.width()};
  if (shape.channels != shape_.channels || !CanBe(shape)) {
    return absl::DataLossError(
        absl::StrCat("has shape ", ToString(shape), ", but the first record has ", ToString(shape_)));
  }
  if (!datum.data().empty()) {
    if (datum.data().size() == shape.elements()) return absl::OkStatus();
    SAMOVAR_RETURN_IF_ERROR(CheckNoImageFile(datum.data()));
    return absl::DataLossError(absl::StrCat("has ", datum.data().size(), " bytes of data; its shape ", ToString(shape),
                                            " needs ", shape.elements()));
  }
  if (static_cast<size_t>(datum.float_data_size()) != shape.elements()) {
    return absl::DataLossError(absl::StrCat("has no data and ", datum.float_data_size(), " float_data; its shape ",
                                            ToString(shape), " needs ", shape.elements()));
  }
  for (const float value : datum.float_data()) {
    if (!std::isfinite(value)) return absl::DataLossError("has a value that is not finite");
  }
  return absl::OkStatus();
}

}  // namespace samovar
