#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/progress.h"
#include "cli/report/record_progress.h"
#include "cli/run/interruption.h"
#include "cli/run/waker.h"
#include "common/import/cifar_import.h"
#include "common/import/dataset_partition.h"
#include "common/import/idx_import.h"
#include "common/import/images_import.h"
#include "common/import/leveldb_import.h"

namespace samovar {
namespace {

// Wrong files, flags and rights, as opposed to a disk that failed.
bool IsUsers(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsAlreadyExists(status) ||
         absl::IsDataLoss(status) || absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

// Makes a data set and describes it, or prints the error. An interrupted import leaves no data set.
template <typename Options, typename Make>
int MakeSet(const Options& options, const Make& make) {
  Waker waker;
  const Interruption interruption(&waker, /*takes_hangups=*/false, [&](int) { options.storage.Stop(); });
  ImportOptions settings;
  settings.force = options.force;
  settings.partitions = options.partitions;
  settings.progress = RecordProgress();
  settings.stopper = &interruption.stopper();
  settings.storage = options.storage;
  settings.tell = [](const std::string& news) { std::cerr << news << std::endl; };
  const absl::StatusOr<ImportSummary> summary = make(settings);
  if (!summary.ok()) {
    PrintError(summary.status().message());
    if (absl::IsCancelled(summary.status())) return kExitSignal + interruption.signal();
    return IsUsers(summary.status()) ? kExitUsage : kExitFailed;
  }
  std::cout << options.output << ": " << summary->records << " records of "
            << (summary->same_shape ? "" : "different sizes, first ") << ToString(summary->shape);
  if (options.partitions > 0)
    std::cout << " in " << options.partitions << (options.partitions == 1 ? " partition" : " partitions");
  std::cout << ", labels " << summary->min_label << " to " << summary->max_label << ", "
            << FormatBytes(static_cast<double>(summary->file_bytes)) << "\n";
  return kExitOk;
}

}  // namespace

int RunImportIdx(const ImportIdxOptions& options) {
  return MakeSet(options, [&](const ImportOptions& settings) {
    return ImportIdx(options.images, options.labels, options.output, settings);
  });
}

int RunImportCifar10(const ImportCifar10Options& options) {
  return MakeSet(
      options, [&](const ImportOptions& settings) { return ImportCifar10(options.inputs, options.output, settings); });
}

int RunImportLevelDb(const ImportLevelDbOptions& options) {
  return MakeSet(options,
                 [&](const ImportOptions& settings) { return ImportLevelDb(options.input, options.output, settings); });
}

int RunImportImages(const ImportImagesFlags& options) {
  return MakeSet(options,
                 [&](const ImportOptions& settings) { return ImportImages(options.images, options.output, settings); });
}

int RunDataPartition(const DataPartitionOptions& options) {
  return MakeSet(options, [&](const ImportOptions& settings) {
    return PartitionDataset(options.source, options.output, settings);
  });
}

}  // namespace samovar
