#include "common/import/images_import.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "caffe.pb.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/data/image_decoder.h"
#include "common/data/image_list.h"
#include "common/data/image_resize.h"
#include "common/import/image_encoder.h"

namespace samovar {
namespace {

class ImagesImporter {
 public:
  ImagesImporter(const ImportImagesOptions& options, const StorageTable& storage, RecordImport* import)
      : options_(options), storage_(storage), import_(import) {}

  absl::Status Add(uint64_t number, const ListedImage& listed) {
    const absl::Status status = AddFrom(ImagePath(options_.root, listed.name), number, listed);
    if (!status.ok()) return Annotate(status, PlaceOf(options_.list, listed));
    return absl::OkStatus();
  }

 private:
  absl::Status AddFrom(const std::string& path, uint64_t number, const ListedImage& listed) {
    auto file = ReadImageFile(path, storage_);
    if (absl::IsNotFound(file.status())) {
      return absl::NotFoundError(absl::StrCat(file.status().message(),
                                              "; names in the list are taken from --root, or, if that "
                                              "is not given, from the current directory"));
    }
    if (!file.ok()) return file.status();
    SAMOVAR_RETURN_IF_ERROR(Annotate(Convert(*std::move(file), listed.label), path));
    return import_->Add(absl::StrFormat("%08d_%s", number, listed.name), datum_, image_.shape);
  }

  // Fills image_. `as_stored`: the channels of the file when it is decoded as it is.
  absl::Status Decode(absl::string_view file, bool* as_stored) {
    const int channels = options_.gray ? 1 : 3;
    if (options_.encoded) {
      SAMOVAR_RETURN_IF_ERROR(DecodeImage(file, ImageChannels::kAsStored, &image_));
      *as_stored = image_.shape.channels == channels;
      if (*as_stored) return absl::OkStatus();
    }
    return DecodeImage(file, options_.gray ? ImageChannels::kGray : ImageChannels::kColour, &image_);
  }

  // Fills datum_ and image_.
  absl::Status Convert(std::string file, int label) {
    bool as_stored = false;
    SAMOVAR_RETURN_IF_ERROR(Decode(file, &as_stored));
    const bool resize =
        options_.height > 0 && (image_.shape.height != options_.height || image_.shape.width != options_.width);
    if (resize) {
      Image resized;
      ResizeImage(image_, options_.height, options_.width, &resized);
      std::swap(image_, resized);
    }
    datum_.Clear();
    datum_.set_label(label);
    datum_.set_channels(image_.shape.channels);
    datum_.set_height(image_.shape.height);
    datum_.set_width(image_.shape.width);
    if (options_.encoded) {
      datum_.set_encoded(true);
      if (resize || !as_stored) {
        SAMOVAR_ASSIGN_OR_RETURN(file, EncodeImage(image_, ImageFormatOf(file)));
      }
      datum_.set_data(std::move(file));
      return absl::OkStatus();
    }
    SAMOVAR_RETURN_IF_ERROR(CheckSameShape());
    datum_.set_data(image_.data);
    return absl::OkStatus();
  }

  absl::Status CheckSameShape() {
    if (!first_.has_value()) first_ = image_.shape;
    if (*first_ == image_.shape) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("is ", ToString(image_.shape),
                                                   " (channels x height x width), but the first "
                                                   "image is ",
                                                   ToString(*first_), "; resize all with --resize HEIGHTxWIDTH"));
  }

  const ImportImagesOptions& options_;
  const StorageTable storage_;
  RecordImport* const import_;
  std::optional<RecordShape> first_;
  // Kept for their memory.
  caffe::Datum datum_;
  Image image_;
};

}  // namespace

absl::StatusOr<ImportSummary> ImportImages(const ImportImagesOptions& images, const std::string& lmdb_path,
                                           const ImportOptions& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckSetTarget(lmdb_path, options.force, options.storage).status());
  const bool resize = images.height != 0 || images.width != 0;
  if (resize && (images.height < 1 || images.width < 1 ||
                 static_cast<size_t>(images.height) * images.width > kMaxRecordElements / 3)) {
    return absl::InvalidArgumentError(absl::StrCat("images cannot be resized to ", images.height, "x", images.width));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<ListedImage> list, ReadImageList(images.list, options.storage));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordImport> import,
                           RecordImport::Begin(lmdb_path, list.size(), options));
  const Permutation order(list.size(), DeriveKey(RandomStream::kShuffle, {images.seed}));
  ImagesImporter importer(images, options.storage, import.get());
  for (uint64_t i = 0; i < list.size(); ++i) {
    SAMOVAR_RETURN_IF_ERROR(importer.Add(i, list[images.shuffle ? order(i) : i]));
  }
  return import->Finish();
}

}  // namespace samovar
