#include "common/import/idx_import.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "caffe.pb.h"
#include "common/base/status_macros.h"
#include "common/import/idx_file.h"

namespace samovar {
namespace {

// Labels that are read at a time.
constexpr uint64_t kBlock = 10'000;

absl::Status AddRecords(IdxFile* images, IdxFile* labels, RecordImport* import) {
  const RecordShape shape = {1, static_cast<int>(images->rows()), static_cast<int>(images->columns())};
  caffe::Datum datum;
  datum.set_channels(shape.channels);
  datum.set_height(shape.height);
  datum.set_width(shape.width);
  datum.mutable_data()->resize(shape.elements());
  std::string label_bytes;
  for (uint64_t i = 0; i < images->count(); ++i) {
    if (i % kBlock == 0) {
      label_bytes.resize(std::min(kBlock, images->count() - i));
      SAMOVAR_RETURN_IF_ERROR(labels->Read(label_bytes));
    }
    SAMOVAR_RETURN_IF_ERROR(images->Read(*datum.mutable_data()));
    datum.set_label(static_cast<unsigned char>(label_bytes[i % kBlock]));
    SAMOVAR_RETURN_IF_ERROR(import->Add(absl::StrFormat("%08d", i), datum, shape));
  }
  SAMOVAR_RETURN_IF_ERROR(images->CheckEnd());
  return labels->CheckEnd();
}

}  // namespace

absl::StatusOr<ImportSummary> ImportIdx(const std::string& images_path, const std::string& labels_path,
                                        const std::string& lmdb_path, const ImportOptions& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckSetTarget(lmdb_path, options.force, options.storage).status());
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local_images, options.storage.Fetch(images_path));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local_labels, options.storage.Fetch(labels_path));
  SAMOVAR_ASSIGN_OR_RETURN(IdxFile images, IdxFile::Open(local_images, IdxFile::Kind::kImages));
  SAMOVAR_ASSIGN_OR_RETURN(IdxFile labels, IdxFile::Open(local_labels, IdxFile::Kind::kLabels));
  if (images.count() != labels.count()) {
    return absl::InvalidArgumentError(absl::StrCat(images_path, " has ", images.count(), " images, but ", labels_path,
                                                   " has ", labels.count(), " labels; they must belong together"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordImport> import,
                           RecordImport::Begin(lmdb_path, images.count(), options));
  SAMOVAR_RETURN_IF_ERROR(AddRecords(&images, &labels, import.get()));
  return import->Finish();
}

}  // namespace samovar
