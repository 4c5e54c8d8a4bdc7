// Command line of samovar, the user's command.
#pragma once

#include <string>
#include <variant>

#include "cli/options.h"
#include "cli/yarn_options.h"
#include "common/storage/storage_table.h"
#include "config/parsed.h"

namespace samovar {

struct VersionFlags {};

struct CompletionFlags {
  // "bash" or "zsh".
  std::string shell;
  // The script asks what may stand at the end of this line; empty: the script itself is asked for.
  std::string line;
  StorageTable storage = {};
};

// The options of the one subcommand that was given.
using CliFlags =
    std::variant<VersionFlags, TrainOptions, CheckOptions, TestOptions, FeaturesOptions, TimeOptions, PlanOptions,
                 StatusOptions, SubmitOptions, JobsOptions, WatchOptions, LogsOptions, CancelOptions, ForgetOptions,
                 HistoryOptions, PlotOptions, ModelExportOptions, SnapshotExportOptions, ImportIdxOptions,
                 ImportCifar10Options, ImportLevelDbOptions, ImportImagesFlags, DataPartitionOptions,
                 WritePartitionOptions, WriteManifestOptions, DataMeanOptions, DataInfoOptions, FsListOptions,
                 FsCatOptions, FsCopyOptions, FsRemoveOptions, YarnLaunchOptions, YarnStatusOptions, YarnFlexOptions,
                 YarnLogsOptions, YarnStopOptions, YarnTrainOptions, DoctorOptions, CompletionFlags>;

// The options have `storage`, of whose schemes the paths in them are.
Parsed<CliFlags> ParseCliFlags(int argc, const char* const* argv, const StorageTable& storage);

}  // namespace samovar
