#include "common/data/dataset.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/data/image_decoder.h"

namespace samovar {
namespace {

// The open data sets of the process, by canonical path. The lock is held while one is opened or closed, I/O included:
// whoever opens the same directory meanwhile has to wait for it.
struct OpenDatasets {
  absl::Mutex mu;
  std::map<std::string, std::weak_ptr<Dataset>> by_path ABSL_GUARDED_BY(mu);
};

OpenDatasets& AllOpen() {
  static OpenDatasets* const all = new OpenDatasets;  // never destroyed: data sets may be static, too
  return *all;
}

bool Parse(absl::string_view value, caffe::Datum* datum) {
  return value.size() <= static_cast<size_t>(std::numeric_limits<int>::max()) &&
         datum->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

void Close(const std::string& canonical_path, Dataset* dataset) {
  OpenDatasets& all = AllOpen();
  absl::MutexLock l(&all.mu);
  delete dataset;
  all.by_path.erase(canonical_path);
}

}  // namespace

absl::StatusOr<std::shared_ptr<Dataset>> Dataset::Open(const std::string& path) {
  std::error_code error;
  const std::string canonical_path = std::filesystem::canonical(path, error).string();
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    return absl::NotFoundError(
        absl::StrCat(path, ": no such directory; make one with `samovar data import`"));
  }
  if (error) return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message()));

  OpenDatasets& all = AllOpen();
  absl::MutexLock l(&all.mu);
  const auto known = all.by_path.find(canonical_path);
  if (known != all.by_path.end()) {
    if (std::shared_ptr<Dataset> open = known->second.lock()) return open;
    // Its last owner is on the way to close it, and needs the lock.
    const auto closed = [&] {
      const auto entry = all.by_path.find(canonical_path);
      return entry == all.by_path.end() || !entry->second.expired();
    };
    all.mu.Await(absl::Condition(&closed));
    const auto reopened = all.by_path.find(canonical_path);
    if (reopened != all.by_path.end()) {
      if (std::shared_ptr<Dataset> open = reopened->second.lock()) return open;
    }
  }
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Dataset> opened, OpenNew(path));
  std::shared_ptr<Dataset> dataset(opened.release(),
                                   [canonical_path](Dataset* closed) { Close(canonical_path, closed); });
  all.by_path[canonical_path] = dataset;
  return dataset;
}

absl::StatusOr<std::unique_ptr<Dataset>> Dataset::OpenNew(const std::string& path) {
  LmdbEnvironment::Options options;
  options.read_only = true;
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<LmdbEnvironment> environment, LmdbEnvironment::Open(path, options));
  SAMOVAR_ASSIGN_OR_RETURN(LmdbTransaction transaction, environment->BeginRead());
  std::unique_ptr<Dataset> dataset(new Dataset(path, std::move(environment), std::move(transaction)));
  SAMOVAR_RETURN_IF_ERROR(dataset->BuildIndex());
  SAMOVAR_RETURN_IF_ERROR(dataset->ReadShape());
  return dataset;
}

absl::Status Dataset::BuildIndex() {
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t count, transaction_.Count());
  if (count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": has no records; make one with `samovar data import`"));
  }
  index_.reserve(count);
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction_.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(""));
  while (found) {
    index_.push_back(cursor.value());
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Dataset::Keys() const {
  std::vector<std::string> keys;
  keys.reserve(index_.size());
  // A transaction of its own: a transaction is for one thread at a time.
  SAMOVAR_ASSIGN_OR_RETURN(const LmdbTransaction transaction, environment_->BeginRead());
  SAMOVAR_ASSIGN_OR_RETURN(LmdbCursor cursor, transaction.OpenCursor());
  SAMOVAR_ASSIGN_OR_RETURN(bool found, cursor.SeekAtLeast(""));
  while (found) {
    keys.emplace_back(cursor.key());
    SAMOVAR_ASSIGN_OR_RETURN(found, cursor.Next());
  }
  if (keys.size() != index_.size())
    return absl::DataLossError(absl::StrCat(path_, ": was changed while it was in use; restore it, or begin anew"));
  return keys;
}

absl::Status Dataset::ReadShape() {
  caffe::Datum datum;
  if (!Parse(index_[0], &datum))
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
  // One factor at a time, so that the product cannot overflow.
  const auto fits = [](int size) { return size >= 1 && static_cast<size_t>(size) <= kMaxRecordElements; };
  if (!fits(shape_.channels) || !fits(shape_.height) || !fits(shape_.width) ||
      static_cast<size_t>(shape_.channels) * shape_.height > kMaxRecordElements ||
      shape_.elements() > kMaxRecordElements) {
    return absl::InvalidArgumentError(absl::StrCat(NameOf(0), ": a record of shape ", ToString(shape_),
                                                   " (channels x height x width) cannot be; is this LMDB a data set?"));
  }
  const absl::Status status = Check(datum);
  return status.ok() ? status : Annotate(status, NameOf(0));
}

RecordShape Dataset::shape(ImageChannels channels) const {
  if (!encoded_ || channels == ImageChannels::kAsStored) return shape_;
  return {channels == ImageChannels::kColour ? 3 : 1, shape_.height, shape_.width};
}

absl::Status Dataset::ReadStored(uint64_t position, caffe::Datum* datum) const {
  if (position >= size())
    return absl::OutOfRangeError(absl::StrCat(path_, ": no record ", position, "; it has ", size()));
  if (!Parse(index_[position], datum))
    return absl::DataLossError(absl::StrCat(NameOf(position), ": not a Datum of Caffe"));
  if (datum->encoded() != encoded_) {
    return absl::DataLossError(absl::StrCat(NameOf(position), ": is ", datum->encoded() ? "" : "not ",
                                            "encoded, other than the first record"));
  }
  if (encoded_) return absl::OkStatus();
  const absl::Status status = Check(*datum);
  return status.ok() ? status : Annotate(status, NameOf(position));
}

absl::Status Dataset::Read(uint64_t position, caffe::Datum* datum, ImageChannels channels) const {
  SAMOVAR_RETURN_IF_ERROR(ReadStored(position, datum));
  if (!encoded_) return absl::OkStatus();
  const absl::Status status = Decode(channels, datum);
  return status.ok() ? status : Annotate(status, NameOf(position));
}

absl::Status Dataset::Decode(ImageChannels channels, caffe::Datum* datum) const {
  Image image;
  SAMOVAR_RETURN_IF_ERROR(DecodeImage(datum->data(), channels, &image));
  const RecordShape expected = shape(channels);
  if (image.shape.channels != expected.channels) {
    return absl::InvalidArgumentError(absl::StrCat("has ", image.shape.channels, " channels, but the first record has ",
                                                   expected.channels, "; set force_color or force_gray in transform_param, or ",
                                                   "import the images anew"));
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
  if (shape != shape_) {
    return absl::DataLossError(
        absl::StrCat("has shape ", ToString(shape), ", but the first record has ", ToString(shape_)));
  }
  if (!datum.data().empty()) {
    if (datum.data().size() == shape_.elements()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("has ", datum.data().size(), " bytes of data; its shape ", ToString(shape),
                                            " needs ", shape.elements()));
  }
  if (static_cast<size_t>(datum.float_data_size()) != shape_.elements()) {
    return absl::DataLossError(absl::StrCat("has no data and ", datum.float_data_size(), " float_data; its shape ",
                                            ToString(shape), " needs ", shape.elements()));
  }
  for (const float value : datum.float_data()) {
    if (!std::isfinite(value)) return absl::DataLossError("has a value that is not finite");
  }
  return absl::OkStatus();
}

std::string Dataset::NameOf(uint64_t position) const {
  const std::string unnamed = absl::StrCat(path_, ", record ", position);
  // A transaction of its own: a transaction is for one thread at a time.
  const auto transaction = environment_->BeginRead();
  if (!transaction.ok()) return unnamed;
  auto cursor = transaction->OpenCursor();
  if (!cursor.ok()) return unnamed;
  bool found = cursor->SeekAtLeast("").value_or(false);
  for (uint64_t i = 0; found && i < position; ++i) found = cursor->Next().value_or(false);
  if (!found) return unnamed;
  return absl::StrCat(path_, ", key \"", absl::CHexEscape(cursor->key()), "\"");
}

}  // namespace samovar
