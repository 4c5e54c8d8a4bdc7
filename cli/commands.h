// The subcommands. Each prints what it has to say and returns the process's exit code (exit_codes.h).
#pragma once

#include "cli/options.h"

namespace samovar {

// Trains on this machine: checks everything, starts servers and workers, shows progress, writes the models, ends them.
// Called once in a process, on its main thread, before any other thread exists (signals.h).
int RunTrain(const TrainOptions& options);

// Checks a solver with its nets and data, and describes them.
int RunCheck(const CheckOptions& options);

// Shows what a coordinator knows of its cluster.
int RunStatus(const StatusOptions& options);

int RunImportIdx(const ImportIdxOptions& options);
int RunImportCifar10(const ImportCifar10Options& options);
int RunImportImages(const ImportImagesFlags& options);

// Writes the mean of an LMDB's records into a file.
int RunDataMean(const DataMeanOptions& options);

// Describes an LMDB.
int RunDataInfo(const DataInfoOptions& options);

}  // namespace samovar
