#include "worker/feed/lmdb_reader.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"
#include "common/data/records_digest.h"
#include "worker/feed/encoded_sample.h"

namespace samovar {
namespace {

class LmdbReader : public RecordReader {
 public:
  LmdbReader(std::string source, std::shared_ptr<Dataset> dataset, ImageChannels channels, Transformer transformer,
             bool labels)
      : source_(std::move(source)),
        dataset_(std::move(dataset)),
        channels_(channels),
        transformer_(std::move(transformer)) {
    const RecordShape shape = transformer_.output_shape();
    tops_.push_back({shape.channels, shape.height, shape.width});
    if (labels) tops_.emplace_back();
  }

  const std::string& source() const override { return source_; }
  uint64_t size() const override { return dataset_->size(); }
  uint32_t partitions() const override { return dataset_->partitions(); }
  const std::vector<TopShape>& tops() const override { return tops_; }

  absl::StatusOr<std::vector<std::string>> Names() const override { return dataset_->Keys(); }

  absl::StatusOr<std::string> Digest(uint64_t count) override { return DigestOfDataset(*dataset_, count); }

  bool adapts() const override { return transformer_.adapts(); }

  absl::Status Adapt(uint64_t position) override {
    SAMOVAR_RETURN_IF_ERROR(Load(position));
    const RecordShape shape = {datum_.channels(), datum_.height(), datum_.width()};
    if (const absl::Status status = transformer_.Adapt(shape); !status.ok())
      return Annotate(status, dataset_->NameOf(position));
    tops_[0] = {shape.channels, shape.height, shape.width};
    loaded_ = position;
    return absl::OkStatus();
  }

  absl::Status Read(uint64_t position, const Draw& draw, std::span<float* const> tops) override {
    if (loaded_ != position) {
      SAMOVAR_ASSIGN_OR_RETURN(const bool done, ReadInPlace(position, draw, tops));
      if (done) return absl::OkStatus();
    }
    SAMOVAR_RETURN_IF_ERROR(Load(position));
    const absl::Status status = transformer_.Apply(datum_, draw, tops[0]);
    if (!status.ok()) return Annotate(status, dataset_->NameOf(position));
    if (tops.size() > 1) *tops[1] = static_cast<float>(datum_.label());
    return absl::OkStatus();
  }

  std::unique_ptr<RecordReader> Another() const override {
    return std::make_unique<LmdbReader>(source_, dataset_, channels_, transformer_, tops_.size() > 1);
  }

 private:
  // Read, without copies on the way. False: Read is to go the other way, which knows more kinds of records, and says
  // what is wrong with one.
  absl::StatusOr<bool> ReadInPlace(uint64_t position, const Draw& draw, std::span<float* const> tops) {
    const auto stored = dataset_->View(position);
    if (!stored.ok()) return WithAdvice(stored.status());
    if (!stored->has_value()) return false;
    const DatumView& datum = (*stored)->datum;
    const absl::Status status =
        datum.encoded
            ? sample_.Apply(datum.data, channels_, transformer_, draw, tops[0])
            : transformer_.Apply(datum.shape, reinterpret_cast<const uint8_t*>(datum.data.data()), draw, tops[0]);
    if (!status.ok()) return false;
    if (tops.size() > 1) *tops[1] = static_cast<float>(datum.label);
    return true;
  }

  // Fills datum_, unless Adapt has just done so.
  absl::Status Load(uint64_t position) {
    if (std::exchange(loaded_, std::nullopt) == position) return absl::OkStatus();
    return WithAdvice(dataset_->Read(position, &datum_, channels_));
  }

  static absl::Status WithAdvice(const absl::Status& read) {
    if (!absl::IsDataLoss(read)) return read;
    return absl::DataLossError(absl::StrCat(
        read.message(), "; `samovar data info` finds damaged records: mend or remove it, or make the data set anew"));
  }

  const std::string source_;
  const std::shared_ptr<Dataset> dataset_;
  const ImageChannels channels_;
  Transformer transformer_;
  // The record that datum_ holds, if Adapt has read it.
  std::optional<uint64_t> loaded_;
  std::vector<TopShape> tops_;
  // Kept for their memory.
  caffe::Datum datum_;
  EncodedSample sample_;
};

absl::StatusOr<ImageChannels> ChannelsOf(const caffe::LayerParameter& layer) {
  const caffe::TransformationParameter& param = layer.transform_param();
  const bool colour = param.force_color() || layer.data_param().force_encoded_color();
  if (colour && param.force_gray()) {
    return absl::InvalidArgumentError(
        "transform_param: force_color and force_gray exclude each other; keep one of them");
  }
  return colour ? ImageChannels::kColour : param.force_gray() ? ImageChannels::kGray : ImageChannels::kAsStored;
}

// Checks the shape that the net says, which CaffeOnSpark needs since its net is built before it sees the data.
absl::Status CheckMemoryData(const caffe::MemoryDataParameter& param, const RecordShape& stored,
                             const RecordShape& output) {
  const RecordShape said = {static_cast<int>(param.channels()), static_cast<int>(param.height()),
                            static_cast<int>(param.width())};
  if (said == stored || said == output) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "memory_data_param says ", ToString(said), " (channels x height x width), but the ", "records are ",
      ToString(stored), "; write channels: ", stored.channels, " height: ", stored.height, " width: ", stored.width));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordReader>> OpenLmdbReader(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                             const std::string& source, PartitionSource* partitions,
                                                             const StorageTable& storage) {
  if (layer.top_size() != 1 && layer.top_size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", layer.top_size(), " tops; it takes one for the records, and one for the labels"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const ImageChannels channels, ChannelsOf(layer));
  SAMOVAR_ASSIGN_OR_RETURN(std::shared_ptr<Dataset> dataset, Dataset::Open(source, storage, partitions));
  const RecordShape stored = dataset->shape(channels);
  auto transformer = Transformer::Create(layer.transform_param(), phase, stored, storage);
  if (!transformer.ok()) return transformer.status();
  if (layer.type() == "MemoryData") {
    SAMOVAR_RETURN_IF_ERROR(CheckMemoryData(layer.memory_data_param(), stored, transformer->output_shape()));
  }
  return std::make_unique<LmdbReader>(source, std::move(dataset), channels, *std::move(transformer),
                                      layer.top_size() == 2);
}

}  // namespace samovar
