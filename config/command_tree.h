// The subcommands and flags of `samovar`, bound to their structs; used to parse a command line and to write
// completions.
#pragma once

#include "common/storage/storage_table.h"
#include "config/cli_flags.h"
#include "config/command_line.h"

namespace samovar {

struct CommandTree {
  // Paths are checked against `storage`, and the commands read and write there.
  explicit CommandTree(const StorageTable& storage);
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  CommandLine line;
  TrainOptions train;
  CheckOptions check;
  TestOptions test;
  FeaturesOptions features;
  TimeOptions time;
  PlanOptions plan;
  StatusOptions status;
  SubmitOptions submit;
  JobsOptions jobs;
  WatchOptions watch;
  LogsOptions logs;
  CancelOptions cancel;
  ForgetOptions forget;
  HistoryOptions history;
  PlotOptions plot;
  ModelExportOptions model_export;
  SnapshotExportOptions snapshot_export;
  ImportIdxOptions import_idx;
  ImportCifar10Options import_cifar10;
  ImportLevelDbOptions import_leveldb;
  ImportImagesFlags import_images;
  DataPartitionOptions data_partition;
  WritePartitionOptions write_partition;
  WriteManifestOptions write_manifest;
  DataMeanOptions data_mean;
  DataInfoOptions data_info;
  FsListOptions fs_list;
  FsCatOptions fs_cat;
  FsCopyOptions fs_copy;
  FsRemoveOptions fs_remove;
  YarnLaunchOptions yarn_launch;
  YarnStatusOptions yarn_status;
  YarnFlexOptions yarn_flex;
  YarnLogsOptions yarn_logs;
  YarnStopOptions yarn_stop;
  YarnTrainOptions yarn_train;
  DoctorOptions doctor;
  CompletionFlags completion;

  // If the command looks at the services of this machine: reads their configurations. Main's exit code: there are none.
  std::optional<int> ReadRoles();
  // If the command may name a job and must name a cluster: finds out which word is which. Main's exit code: a mistake.
  std::optional<int> ReadPlaces();

  // The flags of the subcommand that was parsed.
  CliFlags Chosen() const;

 private:
  void SetStorage();
  // Flags that describe a job.
  // `solver_names`: of the solver's option, as CLI11 takes them.
  void AddJobFlags(CLI::App* command, const std::string& solver_names, JobOptions* job);
  void AddSolver(CLI::App* command, const std::string& names, std::string* solver);
  // `when`: in words, in the help.
  void AddTensorBoard(CLI::App* command, std::string* directory, const std::string& when);
  CLI::Option* AddAddress(CLI::App* command, ClusterOptions* cluster);
  // The coordinator's address: the last word, a flag, or the user's.
  void AddCoordinator(CLI::App* command, ClusterOptions* cluster);
  void AddJob(CLI::App* command, std::string* job, ClusterOptions* cluster);
  // The same, where the job may be left out.
  void AddPlace(CLI::App* command, std::string* job, ClusterOptions* cluster);
  void AddTrain();
  void AddCheck();
  // The state of a net; for a job, also the other choices beside the solver.
  void AddState(CLI::App* command, StateChoice* state);
  void AddJobChoice(CLI::App* command, JobChoice* choice);
  void AddModelFiles(CLI::App* command, ModelFiles* files);
  void AddTest();
  void AddFeatures();
  void AddTime();
  void AddPlan();
  void AddStatus();
  void AddSubmit();
  void AddJobCommands();
  void AddHistory();
  void AddPlot();
  void AddModelExport();
  void AddSnapshotExport();
  void AddData();
  void AddImportCifar10(CLI::App* importers);
  void AddImportLevelDb(CLI::App* importers);
  void AddImportImages(CLI::App* importers);
  void AddDataPartition(CLI::App* data);
  void AddDataWrite(CLI::App* data);
  void AddDataMean(CLI::App* data);
  void AddFs();
  // The resource manager, --json.
  void AddYarnAccess(CLI::App* command, YarnOptions* options);
  // The service's name as well.
  void AddYarnService(CLI::App* command, YarnOptions* options);
  // The flags of a service's plan.
  void AddYarnPlan(CLI::App* command, YarnLaunchOptions* options);
  void AddYarnTrain(CLI::App* yarn);
  void AddYarn();
  void AddDoctor();
  void AddSmallCommands();

  const StorageTable storage_;
  CLI::App* train_ = nullptr;
  CLI::App* check_ = nullptr;
  CLI::App* test_ = nullptr;
  CLI::App* features_ = nullptr;
  CLI::App* time_ = nullptr;
  CLI::App* plan_ = nullptr;
  CLI::App* status_ = nullptr;
  CLI::App* submit_ = nullptr;
  CLI::App* jobs_ = nullptr;
  CLI::App* watch_ = nullptr;
  CLI::App* logs_ = nullptr;
  CLI::App* cancel_ = nullptr;
  CLI::App* forget_ = nullptr;
  CLI::App* history_ = nullptr;
  CLI::App* plot_ = nullptr;
  CLI::App* model_export_ = nullptr;
  CLI::App* snapshot_export_ = nullptr;
  CLI::App* import_idx_ = nullptr;
  CLI::App* import_cifar10_ = nullptr;
  CLI::App* import_leveldb_ = nullptr;
  CLI::App* import_images_ = nullptr;
  CLI::App* data_partition_ = nullptr;
  CLI::App* write_partition_ = nullptr;
  CLI::App* write_manifest_ = nullptr;
  CLI::App* data_mean_ = nullptr;
  CLI::App* data_info_ = nullptr;
  CLI::App* fs_list_ = nullptr;
  CLI::App* fs_cat_ = nullptr;
  CLI::App* fs_copy_ = nullptr;
  CLI::App* fs_remove_ = nullptr;
  CLI::App* yarn_launch_ = nullptr;
  CLI::App* yarn_status_ = nullptr;
  CLI::App* yarn_flex_ = nullptr;
  CLI::App* yarn_logs_ = nullptr;
  CLI::App* yarn_stop_ = nullptr;
  CLI::App* yarn_train_ = nullptr;
  CLI::App* doctor_ = nullptr;
  CLI::App* completion_ = nullptr;
};

}  // namespace samovar
