#include "worker/feed/open_reader.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/leveldb_advice.h"
#include "common/storage/paths.h"
#include "worker/feed/hdf5_reader.h"
#include "worker/feed/image_reader.h"
#include "worker/feed/lmdb_reader.h"

namespace samovar {
namespace {

constexpr std::array<absl::string_view, 6> kFedTypes = {"Data",       "ImageData", "HDF5Data",
                                                        "MemoryData", "CoSData",   "WindowData"};
constexpr absl::string_view kLmdbClass = "com.yahoo.ml.caffe.LMDB";

// A Python layer that takes nothing makes data; one that takes something is the net's matter.
bool IsFed(const caffe::LayerParameter& layer) {
  return std::find(kFedTypes.begin(), kFedTypes.end(), layer.type()) != kFedTypes.end() ||
         (layer.type() == "Python" && layer.bottom_size() == 0);
}

std::string NameOf(const caffe::LayerParameter& layer) { return absl::StrCat("layer \"", layer.name(), "\""); }

absl::Status CheckMemoryData(const caffe::LayerParameter& layer) {
  if (layer.source_class() == kLmdbClass) return absl::OkStatus();
  if (!layer.has_source_class()) {
    return absl::UnimplementedError(
        "a MemoryData layer is filled by a program that Caffe is a part of; use type: \"Data\" with an LMDB");
  }
  return absl::UnimplementedError(absl::StrCat(
      "source_class ", layer.source_class(), " is not offered; make an LMDB of the images with `samovar data import ",
      "images` and use source_class: \"", kLmdbClass, "\", or type: \"Data\""));
}

// OK: records of this layer can be read.
absl::Status CheckOffered(const caffe::LayerParameter& layer) {
  if (layer.type() == "Data" && layer.data_param().backend() != caffe::DataParameter::LMDB) {
    const std::string& source = layer.data_param().source();
    std::error_code error;
    return absl::UnimplementedError(absl::StrCat(
        "data_param.backend is LEVELDB", layer.data_param().has_backend() ? "" : " (Caffe's default)",
        ", which is not read in training; ",
        std::filesystem::exists(source + "/data.mdb", error) ? absl::StrCat(source, " is an LMDB: write backend: LMDB")
                                                             : LevelDbAdvice(source)));
  }
  if (layer.type() == "MemoryData") return CheckMemoryData(layer);
  if (layer.type() == "CoSData") {
    return absl::UnimplementedError(absl::StrCat(
        "layer type CoSData", layer.has_source_class() ? absl::StrCat(" (", layer.source_class(), ")") : "",
        " reads data frames of Spark and is not offered; make an LMDB of the images with `samovar data import ",
        "images` and use type: \"Data\""));
  }
  if (layer.type() == "WindowData") {
    return absl::UnimplementedError(
        "layer type WindowData is not offered; cut the windows out of the images and use type: \"ImageData\"");
  }
  if (layer.type() == "Python") {
    return absl::UnimplementedError(
        "layer type Python is not offered; write its records into HDF5 files and use type: \"HDF5Data\"");
  }
  return absl::OkStatus();
}

// The field of the layer that names its source, and its value.
struct SourceField {
  const char* field;
  const std::string* value;
  const char* what;
};
SourceField SourceFieldOf(const caffe::LayerParameter& layer) {
  if (layer.type() == "ImageData") {
    return {"image_data_param.source", &layer.image_data_param().source(),
            "a list of images, a line \"NAME LABEL\" each"};
  }
  if (layer.type() == "HDF5Data") {
    return {"hdf5_data_param.source", &layer.hdf5_data_param().source(), "a list of HDF5 files, a line each"};
  }
  if (layer.type() == "MemoryData") {
    return {"memory_data_param.source", &layer.memory_data_param().source(),
            "the directory of an LMDB or of a partitioned set"};
  }
  return {"data_param.source", &layer.data_param().source(), "the directory of an LMDB or of a partitioned set"};
}

absl::StatusOr<std::string> PathOf(const SourceField& source, const StorageTable& storage) {
  if (source.value->empty())
    return absl::InvalidArgumentError(absl::StrCat(source.field, " is missing; name ", source.what));
  std::string path = WithoutFileScheme(*source.value);
  if (path.empty())
    return absl::InvalidArgumentError(absl::StrCat(source.field, ": \"", *source.value, "\" names nothing"));
  if (const absl::Status offered = storage.StorageFor(path).status(); !offered.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.field, ": ", offered.message(), ", the same on each machine"));
  }
  return path;
}

absl::StatusOr<std::unique_ptr<RecordReader>> Open(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                   const std::string& source, PartitionSource* partitions,
                                                   const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(CheckOffered(layer));
  if (layer.type() == "ImageData") return OpenImageReader(layer, phase, source, storage);
  if (layer.type() == "HDF5Data") return OpenHdf5Reader(layer, source, storage);
  return OpenLmdbReader(layer, phase, source, partitions, storage);
}

}  // namespace

absl::StatusOr<std::vector<const caffe::LayerParameter*>> FindFedLayers(const caffe::NetParameter& net) {
  std::vector<const caffe::LayerParameter*> found;
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (!IsFed(layer)) continue;
    const auto same = [&layer](const caffe::LayerParameter* other) { return other->name() == layer.name(); };
    if (std::any_of(found.begin(), found.end(), same)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the net has two data layers \"", layer.name(),
                       "\" in one phase; rename one, or mark them with include { phase: ... }"));
    }
    found.push_back(&layer);
  }
  return found;
}

absl::StatusOr<std::string> SourceOf(const caffe::LayerParameter& layer, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckOffered(layer), NameOf(layer)));
  auto path = PathOf(SourceFieldOf(layer), storage);
  if (!path.ok()) return Annotate(path.status(), NameOf(layer));
  return path;
}

absl::StatusOr<uint32_t> FeedBatchSize(const caffe::LayerParameter& layer) {
  const std::string& type = layer.type();
  const uint32_t size = type == "ImageData"    ? layer.image_data_param().batch_size()
                        : type == "HDF5Data"   ? layer.hdf5_data_param().batch_size()
                        : type == "MemoryData" ? layer.memory_data_param().batch_size()
                                               : layer.data_param().batch_size();
  if (size > 0) return size;
  const std::string field = SourceFieldOf(layer).field;
  return absl::InvalidArgumentError(
      absl::StrCat(NameOf(layer), ": ", field.substr(0, field.find('.')), ".batch_size must be at least 1"));
}

std::vector<std::string> FeedWarnings(const caffe::LayerParameter& layer) {
  std::vector<std::string> warnings;
  const auto warn = [&](absl::string_view what) { warnings.push_back(absl::StrCat(NameOf(layer), ": ", what)); };
  constexpr absl::string_view kSkip = "rand_skip has no effect: records are shuffled anew in each round";
  constexpr absl::string_view kShuffle = "shuffle: false has no effect on training: records are always shuffled";
  if (layer.data_param().rand_skip() > 0 || layer.image_data_param().rand_skip() > 0) warn(kSkip);
  const bool kept_in_order = (layer.image_data_param().has_shuffle() && !layer.image_data_param().shuffle()) ||
                             (layer.hdf5_data_param().has_shuffle() && !layer.hdf5_data_param().shuffle());
  if (kept_in_order) warn(kShuffle);
  return warnings;
}

absl::StatusOr<std::unique_ptr<RecordReader>> OpenReader(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                         const std::string& source, PartitionSource* partitions,
                                                         const StorageTable& storage) {
  auto reader = Open(layer, phase, source, partitions, storage);
  if (!reader.ok()) return Annotate(reader.status(), NameOf(layer));
  return reader;
}

}  // namespace samovar
