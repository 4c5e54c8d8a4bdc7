// The subcommands. Each prints its result or its error and returns the process's exit code (exit_codes.h).
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/yarn_options.h"

namespace samovar {

// Trains on this machine: checks everything, starts servers and workers, shows progress, writes the models, ends them.
// Called once in a process, on its main thread, before any other thread exists (signals.h).
int RunTrain(const TrainOptions& options);

// Checks a solver with its nets and data, and describes them.
int RunCheck(const CheckOptions& options);

// Tests a trained model on all records of its net's data.
int RunTest(const TestOptions& options);

// Writes blobs of a net for each record of its data.
int RunFeatures(const FeaturesOptions& options);

// Measures how long each layer of a net takes.
int RunTime(const TimeOptions& options);

// Says what a job will need and do on a cluster.
int RunPlan(const PlanOptions& options);

// The names of a cluster's jobs, the newest first; none if it does not answer within a second.
std::vector<std::string> JobNames(const ClusterOptions& cluster);

// Shows the status of a cluster, as its coordinator knows it.
int RunStatus(const StatusOptions& options);

// Submits a job to a cluster.
int RunSubmit(const SubmitOptions& options);

// Lists a cluster's jobs.
int RunJobs(const JobsOptions& options);

// Shows how a job goes until it has ended. As RunTrain: on the main thread, before any other exists; so RunSubmit and
// RunModelExport.
int RunWatch(const WatchOptions& options);

// Ends a job.
int RunCancel(const CancelOptions& options);

// Forgets an ended job.
int RunForget(const ForgetOptions& options);

// Lists the events of a job.
int RunLogs(const LogsOptions& options);

// Writes the curve of a job: losses, rates and tests by iteration.
int RunHistory(const HistoryOptions& options);

// Draws the curves of jobs and of files.
int RunPlot(const PlotOptions& options);

// Writes the model and the solver's state of a job, which may be running.
int RunModelExport(const ModelExportOptions& options);

// Has a running job export a snapshot; on the main thread likewise.
int RunSnapshotExport(const SnapshotExportOptions& options);

// Make data sets. As RunTrain: on the main thread, before any other exists; so RunDataPartition.
int RunImportIdx(const ImportIdxOptions& options);
int RunImportCifar10(const ImportCifar10Options& options);
int RunImportLevelDb(const ImportLevelDbOptions& options);
int RunImportImages(const ImportImagesFlags& options);

// Cuts a data set into partitions.
int RunDataPartition(const DataPartitionOptions& options);

// Write a partition of a set from a stream of records; join such partitions. As RunTrain: on the main thread.
int RunWritePartition(const WritePartitionOptions& options);
int RunWriteManifest(const WriteManifestOptions& options);

// Writes the mean of a data set's records into a file.
int RunDataMean(const DataMeanOptions& options);

// Describes a data set.
int RunDataInfo(const DataInfoOptions& options);

// Files of this machine, and of others.
int RunFsList(const FsListOptions& options);
int RunFsCat(const FsCatOptions& options);
int RunFsCopy(const FsCopyOptions& options);
int RunFsRemove(const FsRemoveOptions& options);

// A cluster as a YARN service.
int RunYarnLaunch(const YarnLaunchOptions& options);
int RunYarnStatus(const YarnStatusOptions& options);
int RunYarnFlex(const YarnFlexOptions& options);
int RunYarnLogs(const YarnLogsOptions& options);
int RunYarnStop(const YarnStopOptions& options);
// On the main thread, before any other exists.
int RunYarnTrain(const YarnTrainOptions& options);

// Says what is wrong on this machine.
int RunDoctor(const DoctorOptions& options);

}  // namespace samovar
