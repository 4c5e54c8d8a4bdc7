#include <unistd.h>

#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/progress.h"
#include "common/data/idx_import.h"

namespace samovar {
namespace {

// Wrong files and wrong flags, as opposed to a disk that failed.
bool IsUsers(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsAlreadyExists(status) ||
         absl::IsDataLoss(status) || absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

int RunImportIdx(const ImportIdxOptions& options) {
  ImportOptions settings;
  settings.force = options.force;
  if (isatty(STDERR_FILENO)) {
    settings.progress = [](uint64_t done, uint64_t total) {
      std::cerr << "\r" << done << " of " << total << " records" << (done == total ? "\n" : "") << std::flush;
    };
  }
  const absl::StatusOr<ImportSummary> summary = ImportIdx(options.images, options.labels, options.output, settings);
  if (!summary.ok()) {
    PrintError(summary.status().message());
    return IsUsers(summary.status()) ? kExitUsage : kExitFailed;
  }
  std::cout << options.output << ": " << summary->records << " records of 1x" << summary->height << "x"
            << summary->width << ", labels " << summary->min_label << " to " << summary->max_label << ", "
            << FormatBytes(static_cast<double>(summary->file_bytes)) << "\n";
  return kExitOk;
}

}  // namespace samovar
