#include "common/import/dataset_partition.h"

#include <memory>

#include "common/base/status_macros.h"
#include "common/data/dataset.h"

namespace samovar {

absl::StatusOr<ImportSummary> PartitionDataset(const std::string& source, const std::string& set_path,
                                               const ImportOptions& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckSetTarget(set_path, options.force, options.storage).status());
  std::unique_ptr<RecordImport> import;
  {
    SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Dataset> dataset, Dataset::Open(source, options.storage));
    SAMOVAR_ASSIGN_OR_RETURN(import, RecordImport::Begin(set_path, dataset->size(), options));
    const RecordShape shape = dataset->shape();
    SAMOVAR_RETURN_IF_ERROR(
        dataset->ForEach([&](const std::string& key, absl::string_view value, const caffe::Datum& datum) {
          return import->AddSerialised(key, std::string(value), datum, shape);
        }));
  }
  // The source is closed by now: it may be the set that is replaced.
  return import->Finish();
}

}  // namespace samovar
