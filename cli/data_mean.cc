#include <filesystem>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/record_progress.h"
#include "common/base/status_macros.h"
#include "common/caffe/mean_file.h"
#include "common/import/dataset_mean.h"
#include "worker/feed/remote_partitions.h"

namespace samovar {
namespace {

absl::Status CheckOutput(const DataMeanOptions& options) {
  std::error_code error;
  if (std::filesystem::is_directory(options.output, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.output, ": is a directory; name a file in it, for example mean.binaryproto"));
  }
  // The output must not replace a part of the data set itself, not even with --force.
  const std::string set = std::filesystem::weakly_canonical(options.path, error).string() + "/";
  if (std::filesystem::weakly_canonical(options.output, error).string().compare(0, set.size(), set) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.output, ": is inside the data set ", options.path, "; name a file beside it"));
  }
  SAMOVAR_RETURN_IF_ERROR(options.storage.CheckWritable(options.output));
  if (options.force || !options.storage.Exists(options.output)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(options.output, ": exists already; --force replaces it"));
}

absl::StatusOr<DatasetMean> MeanOf(const DataMeanOptions& options) {
  SAMOVAR_RETURN_IF_ERROR(CheckOutput(options));
  // One partition after the other of a set in a storage is fetched, and older ones make room.
  RemotePartitions partitions(options.storage);
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Dataset> dataset,
                           Dataset::Open(options.path, options.storage, &partitions));
  return ComputeMean(*dataset, RecordProgress());
}

}  // namespace

int RunDataMean(const DataMeanOptions& options) {
  const absl::StatusOr<DatasetMean> mean = MeanOf(options);
  if (!mean.ok()) {
    PrintError(mean.status().message());
    return kExitUsage;
  }
  if (const absl::Status written = WriteMeanFile(options.output, mean->blob, options.storage); !written.ok()) {
    PrintError(written.message());
    return kExitFailed;
  }
  const std::string channels = absl::StrJoin(
      mean->channel_means, ", ", [](std::string* out, double value) { absl::StrAppendFormat(out, "%.4f", value); });
  std::cout << options.output << ": mean of " << mean->blob.channels() << "x" << mean->blob.height() << "x"
            << mean->blob.width() << "; of the channels (mean_value) " << channels << "\n";
  return kExitOk;
}

}  // namespace samovar
