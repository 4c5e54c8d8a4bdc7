#include "worker/feed/image_reader.h"

#include <sys/stat.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/data/image_decoder.h"
#include "common/data/image_list.h"
#include "common/data/image_resize.h"
#include "common/data/records_digest.h"
#include "common/storage/paths.h"
#include "worker/feed/encoded_sample.h"

namespace samovar {
namespace {

class ImageReader : public RecordReader {
 public:
  ImageReader(const caffe::ImageDataParameter& param, std::string source,
              std::shared_ptr<const std::vector<ListedImage>> images, const StorageTable& storage)
      : param_(param), source_(std::move(source)), images_(std::move(images)), storage_(storage) {}

  absl::Status Start(const caffe::LayerParameter& layer, caffe::Phase phase) {
    SAMOVAR_RETURN_IF_ERROR(Load(0));
    auto transformer = Transformer::Create(layer.transform_param(), phase, image_.shape, storage_);
    if (!transformer.ok()) return transformer.status();
    transformer_ = *std::move(transformer);
    const RecordShape shape = transformer_->output_shape();
    tops_.push_back({shape.channels, shape.height, shape.width});
    if (layer.top_size() == 2) tops_.emplace_back();
    return absl::OkStatus();
  }

  const std::string& source() const override { return source_; }
  uint64_t size() const override { return images_->size(); }
  const std::vector<TopShape>& tops() const override { return tops_; }

  absl::StatusOr<std::vector<std::string>> Names() const override {
    std::vector<std::string> names;
    for (const ListedImage& image : *images_) names.push_back(image.name);
    return names;
  }

  absl::StatusOr<std::string> Digest(uint64_t count) override {
    return DigestOfImages(source_, *images_, count,
                          [this](const ListedImage& image) { return storage_.Fetch(PathOf(image)); });
  }

  absl::StatusOr<Looked> LookAtFiles(absl::Time deadline) override {
    Looked looked;
    looked.of = images_->size();
    absl::Status first;
    uint64_t bad = 0;
    for (; looked.at < looked.of && SteadyNow() < deadline; ++looked.at) {
      const ListedImage& listed = (*images_)[looked.at];
      const std::string path = PathOf(listed);
      const absl::StatusOr<std::string> local = storage_.Fetch(path);
      struct stat info;
      if (local.ok() && stat(local->c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) continue;
      ++bad;
      if (first.ok()) first = Annotate(Decode(path, ReadImageFile(path, storage_)), PlaceOf(source_, listed));
    }
    if (first.ok()) return looked;
    if (bad == 1) return first;
    return absl::Status(first.code(), absl::StrCat(first.message(), "; ", bad, " of the ", looked.at,
                                                   " files that were looked at cannot be read"));
  }

  bool adapts() const override { return transformer_->adapts(); }

  absl::Status Adapt(uint64_t position) override {
    SAMOVAR_RETURN_IF_ERROR(Load(position));
    SAMOVAR_RETURN_IF_ERROR(transformer_->Adapt(image_.shape));
    tops_[0] = {image_.shape.channels, image_.shape.height, image_.shape.width};
    loaded_ = position;
    return absl::OkStatus();
  }

  absl::Status Read(uint64_t position, const Draw& draw, std::span<float* const> tops) override {
    if (std::exchange(loaded_, std::nullopt) != position) {
      const ListedImage& listed = (*images_)[position];
      const std::string path = PathOf(listed);
      const auto file = ReadImageFile(path, storage_);
      if (ReadInPlace(listed, file, draw, tops)) return absl::OkStatus();
      SAMOVAR_RETURN_IF_ERROR(Load(listed, path, file));
    }
    const auto* pixels = reinterpret_cast<const uint8_t*>(image_.data.data());
    const absl::Status status = transformer_->Apply(image_.shape, pixels, draw, tops[0]);
    if (!status.ok())
      return Annotate(status, absl::StrCat(PlaceOf(source_, (*images_)[position]), ": ", (*images_)[position].name));
    if (tops.size() > 1) *tops[1] = static_cast<float>((*images_)[position].label);
    return absl::OkStatus();
  }

  std::unique_ptr<RecordReader> Another() const override {
    auto another = std::make_unique<ImageReader>(param_, source_, images_, storage_);
    another->transformer_ = transformer_;
    another->tops_ = tops_;
    return another;
  }

 private:
  ImageChannels channels() const { return param_.is_color() ? ImageChannels::kColour : ImageChannels::kGray; }

  // Read, without the image in between. False: the image is to be resized, or there is something wrong with it, which
  // the other way says in words.
  bool ReadInPlace(const ListedImage& listed, const absl::StatusOr<std::string>& file, const Draw& draw,
                   std::span<float* const> tops) {
    if (!file.ok() || param_.new_height() != 0) return false;
    if (!sample_.Apply(*file, channels(), *transformer_, draw, tops[0]).ok()) return false;
    if (tops.size() > 1) *tops[1] = static_cast<float>(listed.label);
    return true;
  }

  std::string PathOf(const ListedImage& listed) const {
    return FindFile(ImagePath(param_.root_folder(), listed.name), source_);
  }

  absl::Status Load(uint64_t position) {
    loaded_.reset();
    const std::string path = PathOf((*images_)[position]);
    return Load((*images_)[position], path, ReadImageFile(path, storage_));
  }

  // Fills image_. Errors name the image and its line in the list.
  absl::Status Load(const ListedImage& listed, const std::string& path, const absl::StatusOr<std::string>& file) {
    const absl::Status status = Decode(path, file);
    if (!status.ok()) return Annotate(status, PlaceOf(source_, listed));
    const int height = static_cast<int>(param_.new_height());
    const int width = static_cast<int>(param_.new_width());
    if (height == 0 || (height == image_.shape.height && width == image_.shape.width)) return absl::OkStatus();
    ResizeImage(image_, height, width, &resized_);
    std::swap(image_, resized_);
    return absl::OkStatus();
  }

  absl::Status Decode(const std::string& path, const absl::StatusOr<std::string>& file) {
    if (absl::IsNotFound(file.status())) {
      const std::string& root = param_.root_folder();
      const std::string looked_for = WhereLookedFor(path, source_);
      const std::string joined = !root.empty()         ? absl::StrCat("; image_data_param.root_folder, ", root,
                                                                      ", is put before the names in the list")
                                 : !looked_for.empty() ? "; image_data_param.root_folder is empty"
                                                       : "";
      return absl::NotFoundError(absl::StrCat(file.status().message(), joined, looked_for));
    }
    if (!file.ok()) return file.status();
    return Annotate(DecodeImage(*file, channels(), &image_), path);
  }

  const caffe::ImageDataParameter param_;
  const std::string source_;
  const std::shared_ptr<const std::vector<ListedImage>> images_;
  const StorageTable storage_;
  std::optional<Transformer> transformer_;  // set by Start
  std::vector<TopShape> tops_;
  // The record that image_ holds, if Adapt has read it.
  std::optional<uint64_t> loaded_;

  // Kept for their memory.
  Image image_;
  Image resized_;
  EncodedSample sample_;
};

absl::Status CheckParam(const caffe::LayerParameter& layer) {
  const caffe::ImageDataParameter& param = layer.image_data_param();
  if (layer.top_size() != 1 && layer.top_size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", layer.top_size(), " tops; it takes one for the images, and one for the labels"));
  }
  if ((param.new_height() == 0) != (param.new_width() == 0)) {
    return absl::InvalidArgumentError("image_data_param: new_height and new_width belong together; write both or none");
  }
  if (param.new_width() > 0 && param.new_height() > kMaxRecordElements / 3 / param.new_width()) {
    return absl::InvalidArgumentError(absl::StrCat("image_data_param: images of ", param.new_height(), "x",
                                                   param.new_width(), " are larger than a record may be"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordReader>> OpenImageReader(const caffe::LayerParameter& layer, caffe::Phase phase,
                                                              const std::string& source, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(CheckParam(layer));
  SAMOVAR_ASSIGN_OR_RETURN(std::vector<ListedImage> images, ReadImageList(source, storage));
  auto shared = std::make_shared<const std::vector<ListedImage>>(std::move(images));
  auto reader = std::make_unique<ImageReader>(layer.image_data_param(), source, std::move(shared), storage);
  SAMOVAR_RETURN_IF_ERROR(reader->Start(layer, phase));
  return reader;
}

}  // namespace samovar
