#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/progress.h"
#include "cli/record_progress.h"
#include "common/data/cifar_import.h"
#include "common/data/idx_import.h"
#include "common/data/images_import.h"

namespace samovar {
namespace {

// Wrong files and wrong flags, as opposed to a disk that failed.
bool IsUsers(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsAlreadyExists(status) ||
         absl::IsDataLoss(status) || absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status);
}

ImportOptions SettingsFor(bool force) {
  ImportOptions settings;
  settings.force = force;
  settings.progress = RecordProgress();
  return settings;
}

// Says what was made, or what was wrong.
int Report(const std::string& output, const absl::StatusOr<ImportSummary>& summary) {
  if (!summary.ok()) {
    PrintError(summary.status().message());
    return IsUsers(summary.status()) ? kExitUsage : kExitFailed;
  }
  std::cout << output << ": " << summary->records << " records of " << (summary->same_shape ? "" : "different sizes, first ")
            << ToString(summary->shape) << ", labels " << summary->min_label << " to " << summary->max_label << ", "
            << FormatBytes(static_cast<double>(summary->file_bytes)) << "\n";
  return kExitOk;
}

}  // namespace

int RunImportIdx(const ImportIdxOptions& options) {
  return Report(options.output, ImportIdx(options.images, options.labels, options.output, SettingsFor(options.force)));
}

int RunImportCifar10(const ImportCifar10Options& options) {
  return Report(options.output, ImportCifar10(options.inputs, options.output, SettingsFor(options.force)));
}

int RunImportImages(const ImportImagesFlags& options) {
  return Report(options.output, ImportImages(options.images, options.output, SettingsFor(options.force)));
}

}  // namespace samovar
