#include "config/command_tree.h"

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/model/consistency.h"
#include "config/worker_flags.h"

namespace samovar {
namespace {

// Far more than helps.
constexpr double kMaxLambda = 1000;

constexpr char kDescription[] =
    "Trains Caffe nets on this machine's processors with parameter servers and workers.\n"
    "A solver, its net and its data are taken as Caffe takes them: prototxt files and LMDBs.";
constexpr char kExamples[] =
    "From data to a model:\n"
    "  samovar data import idx --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz \\\n"
    "      --output examples/mnist/mnist_train_lmdb\n"
    "  samovar check examples/mnist/lenet_solver.prototxt\n"
    "  samovar train --solver examples/mnist/lenet_solver.prototxt\n"
    "\"samovar COMMAND --help\" explains a command. Exit codes: 0 done, 1 failed, 2 wrong flags or files, 4 a job's "
    "coordinator no longer answers, 130 and 143 interrupted.";

constexpr char kTrainExamples[] =
    "Files: models are written as SNAPSHOT_PREFIX_iter_N.caffemodel, with SNAPSHOT_PREFIX_iter_N.solverstate beside "
    "it, at "
    "each snapshot\n"
    "and at the end. Snapshots of the servers and the logs of all processes are kept in the state directory.\n"
    "Examples:\n"
    "  samovar train lenet_solver.prototxt\n"
    "  samovar train --solver lenet_solver.prototxt --workers 4 --threads 2 --seed 1\n"
    "  samovar train --solver lenet_solver.prototxt --mode sync --workers 4\n"
    "  samovar train --solver lenet_solver.prototxt --resume\n"
    "Finetuning: rename the layers that are to be trained anew, then\n"
    "  samovar train --solver finetune_solver.prototxt --weights bvlc_reference_caffenet.caffemodel\n"
    "Continuing a run of Caffe, or a finished run with a larger max_iter:\n"
    "  samovar train --solver lenet_solver.prototxt --snapshot lenet_iter_5000.solverstate\n"
    "Continuing on other machines, or with another number of servers:\n"
    "  samovar train --solver lenet_solver.prototxt --export-snapshots snapshots\n"
    "  samovar train --solver lenet_solver.prototxt --restore snapshots --servers 4";
constexpr char kCheckExamples[] =
    "Example:\n"
    "  samovar check examples/mnist/lenet_solver.prototxt";
constexpr char kVersionExamples[] =
    "The engine is built for x86-64-v2 (SSE 4.2), v3 (AVX2) and v4 (AVX-512), and the highest level that the CPU has "
    "is used.\n"
    "On one level every machine computes the same bits; SAMOVAR_ISA in the environment lowers it, for this command and "
    "the\n"
    "workers that it starts:\n"
    "  SAMOVAR_ISA=v3 samovar train --solver config/models/lenet/lenet_solver.prototxt";
constexpr char kCompletionExamples[] =
    "Examples:\n"
    "  source <(samovar completion bash)\n"
    "  samovar completion zsh > ~/.zfunc/_samovar";

}  // namespace

CommandTree::CommandTree(const StorageTable& storage) : line("samovar", kDescription), storage_(storage) {
  SetStorage();
  line.app()->footer(kExamples);
  AddTrain();
  AddCheck();
  AddTest();
  AddFeatures();
  AddTime();
  AddPlan();
  AddStatus();
  AddSubmit();
  AddJobCommands();
  AddHistory();
  AddPlot();
  AddModelExport();
  AddSnapshotExport();
  AddData();
  AddFs();
  AddYarn();
  AddDoctor();
  AddSmallCommands();
  for (CLI::App* command : {train_, check_, plan_, submit_, watch_, logs_, cancel_, history_, plot_, model_export_,
                            snapshot_export_, yarn_train_})
    line.RequireUtf8(command);
}

void CommandTree::SetStorage() {
  for (StorageTable* const used :
       {&train.choice.storage, &check.choice.storage, &submit.choice.storage, &test.files.storage,
        &features.files.storage, &time.storage, &plan.storage, &status.storage, &submit.storage, &jobs.storage,
        &watch.storage, &cancel.storage, &forget.storage, &logs.storage, &history.storage, &plot.storage,
        &model_export.storage, &snapshot_export.storage}) {
    *used = storage_;
  }
  for (StorageTable* const used :
       {&import_idx.storage, &import_cifar10.storage, &import_leveldb.storage, &import_images.storage,
        &data_partition.storage, &write_partition.storage, &write_manifest.storage, &data_mean.storage,
        &data_info.storage, &fs_list.storage, &fs_cat.storage, &fs_copy.storage, &fs_remove.storage,
        &yarn_launch.storage, &yarn_train.storage, &yarn_train.choice.storage, &doctor.storage, &completion.storage}) {
    *used = storage_;
  }
}

void CommandTree::AddSolver(CLI::App* command, const std::string& names, std::string* solver) {
  line.Require(command, command->add_option(names, *solver, "Reads the solver from this prototxt file")
                            ->type_name("SOLVER")
                            ->transform(StoredPathValidator(storage_)));
}

void CommandTree::AddTensorBoard(CLI::App* command, std::string* directory, const std::string& when) {
  command
      ->add_option("--tensorboard", *directory,
                   absl::StrCat("Writes event files for TensorBoard into this directory of this machine", when,
                                ": loss, outputs, learning rate, images/s and tests"))
      ->type_name("DIR")
      ->default_str("")
      ->transform(LocalPathValidator());
}

void CommandTree::AddJobFlags(CLI::App* command, const std::string& solver_names, JobOptions* job) {
  AddSolver(command, solver_names, &job->solver);
  command
      ->add_option("--mode", job->mode.mode,
                   "Chooses which weights an iteration is computed from: async, the newest there are, which is "
                   "fastest; bounded, at "
                   "most --delay iterations behind; sync, exactly those of the iteration before: all workers share "
                   "each batch, and "
                   "the model does not depend on their number, to the bit; without it async, or the mode of the run "
                   "that is resumed")
      ->type_name("MODE")
      ->default_str("")
      ->check(OneOf(ModeNames()));
  command
      ->add_option(
          "--delay", job->mode.delay,
          absl::StrCat(
              "With --mode bounded, lets an iteration miss so many that are under way; 0 computes one after the "
              "other; without it ",
              kDefaultDelay, ", or as many pushes, or that of the run that is resumed"))
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, kMaxDelay));
  command
      ->add_option(
          "--parts", job->mode.parts,
          absl::StrCat("With --mode sync, computes each batch in so many equal parts, which workers share; must divide "
                       "batch_size; without it the largest divisor up to ",
                       kMaxDefaultParts, ", or that of the run that is resumed"))
      ->type_name("N")
      ->default_str("")
      ->check(Between(1, kMaxParts));
  command
      ->add_option(
          "--encoding", job->mode.encoding,
          "Sends gradients and weights in this encoding: float32; bfloat16 or float16, half the bytes; int8, a "
          "quarter, "
          "these three rounded at random so that their expectation is exact; topk, of gradients only the largest "
          "values, "
          "others with later iterations, not with --mode sync; without it float32, or that of the run that is resumed")
      ->type_name("ENCODING")
      ->default_str("")
      ->check(OneOf(EncodingNames()));
  command
      ->add_option("--topk-ratio", job->mode.topk_ratio,
                   absl::StrCat("With --encoding topk, sends this part of each gradient's values, up to 1; without it ",
                                kDefaultTopkRatio, ", or that of the run that is resumed"))
      ->type_name("RATIO")
      ->default_str("")
      ->check(Ratio());
  command
      ->add_option("--staleness-scaling", job->mode.staleness_scaling,
                   "Stretches momentum with the usual lateness of gradients, so that training is stable and each has "
                   "its whole effect (stretched); or applies late gradients as others (none), which with momentum and "
                   "several workers may diverge; without it stretched, or that of the run that is resumed")
      ->type_name("HOW")
      ->default_str("")
      ->check(OneOf(StalenessScalingNames()));
  command
      ->add_option(
          "--delay-compensation", job->mode.delay_compensation,
          "Corrects late gradients for the updates that came between, to first order (DC-ASGD with this lambda, 0.04 "
          "say); "
          "servers keep 16 versions of the weights for it; without it 0, none, or that of the run that is resumed")
      ->type_name("LAMBDA")
      ->default_str("")
      ->check(NumberUpTo(kMaxLambda));
  command
      ->add_option("--on-numeric-failure", job->mode.on_numeric_failure,
                   "Ends the job when a loss or a gradient is NaN or infinite, and says where (fail); or counts that "
                   "iteration as done "
                   "without effect (skip), for which gradients are sent only when all of them are computed; without it "
                   "fail, or that of "
                   "the run that is resumed")
      ->type_name("WHAT")
      ->default_str("")
      ->check(OneOf(NumericFailureNames()));
  command
      ->add_option("--push-every", job->mode.push_every,
                   "For slow networks: a worker computes so many iterations one after the other, each from its own "
                   "weights after a plain "
                   "step of SGD, and pushes once, how far they have moved; servers add momentum from push to push; "
                   "only for solvers of "
                   "type SGD, not with --mode sync; must divide snapshot and test_interval; without it 1, or that of "
                   "the run that is resumed")
      ->type_name("K")
      ->default_str("")
      ->check(Between(1, kMaxPushEvery));
  command
      ->add_option("--seed", job->seed,
                   "Draws initial weights and the order of records from this number; otherwise from the "
                   "solver's random_seed, or a random one")
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, std::numeric_limits<uint64_t>::max()));
  command
      ->add_option(
          "--weights", job->weights,
          "Begins from the weights of these .caffemodel files (finetuning): each layer takes those of the layer of "
          "its name, the others keep their fillers; several files are separated by commas, the last that has a "
          "layer counts; replaces the solver's weights")
      ->type_name("FILE[,FILE...]")
      ->transform(StoredPathsValidator(storage_))
      ->default_str("");
  command
      ->add_option(
          "--snapshot", job->snapshot,
          "Continues at the iteration of this .solverstate file, from its history and the model that it names; "
          "to continue an interrupted run of Samovar itself, --resume is exact")
      ->type_name("FILE")
      ->transform(StoredPathValidator(storage_))
      ->default_str("");
  command->add_flag("--resume", job->resume, "Continues the earlier run from its last snapshot");
  command
      ->add_option("--export-snapshots", job->export_snapshots,
                   "Exports each snapshot as well, to a directory JOB_iter_N in this one, which all servers must find "
                   "under this path; "
                   "as many are kept as of other snapshots")
      ->type_name("DIR")
      ->transform(StoredPathValidator(storage_))
      ->default_str("");
  command
      ->add_option("--restore", job->restore,
                   "Continues, exactly, from an exported snapshot, on any number of servers, in its mode and with its "
                   "seed unless others "
                   "are given; of a directory that has several it takes the newest")
      ->type_name("DIR")
      ->transform(StoredPathValidator(storage_))
      ->default_str("");
  AddJobChoice(command, &job->choice);
}

void CommandTree::AddTrain() {
  train_ = line.AddCommand(line.app(), "train", "Trains a net on this machine, from a solver file to a model",
                           kTrainExamples);
  AddJobFlags(train_, "solver,--solver", &train);
  train_->add_option("--servers", train.servers, "Starts so many parameter servers, which share the model")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  train_->add_option("--workers", train.workers, "Starts so many workers, which compute gradients")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  train_->add_option("--threads", train.threads, "Gives each worker so many threads")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  train_->add_option("--channels", train.channels, kChannelsHelp)->type_name("N")->check(Between(0, kMaxChannels));
  train_->add_flag("--restart", train.restart,
                   "Begins anew and removes the snapshots of an earlier run that did not finish");
  train_
      ->add_option("--state", train.state,
                   "Keeps snapshots and logs in this directory instead of SNAPSHOT_PREFIX_state")
      ->type_name("DIR")
      ->transform(LocalPathValidator());
  train_
      ->add_option("--dashboard", train.dashboard,
                   "Serves a page that shows the run in a browser, in plain text, to all who reach the address, and "
                   "prints its URL; without an address a free port of this machine alone; \"none\": serves none")
      ->type_name("HOST:PORT")
      ->expected(0, 1)
      ->default_str("127.0.0.1:0")
      ->check(HttpValidator());
  AddTensorBoard(train_, &train.tensorboard, " while it trains");
  train_->add_flag("--json", train.json, "Reports what happens as one JSON object a line");
  AddLogLevel(train_, &train.log_level);
}

void CommandTree::AddJobChoice(CLI::App* command, JobChoice* choice) {
  AddState(command, &choice->state);
  command->add_flag("--test-all", choice->test_all, "Tests with all records instead of the solver's test_iter batches");
}

void CommandTree::AddCheck() {
  check_ =
      line.AddCommand(line.app(), "check", "Checks a solver, its nets and its data without training", kCheckExamples);
  AddSolver(check_, "solver,--solver", &check.solver);
  AddJobChoice(check_, &check.choice);
}

void CommandTree::AddSmallCommands() {
  line.AddCommand(line.app(), "version", "Shows the version, and the instruction-set level of the compute engine",
                  kVersionExamples);
  completion_ = line.AddCommand(line.app(), "completion", "Writes a script that completes commands in a shell",
                                kCompletionExamples);
  line.Require(completion_, completion_->add_option("shell", completion.shell, "Writes for this shell")
                                ->type_name("bash|zsh")
                                ->check(OneOf({"bash", "zsh"})));
  // For the scripts: answers with what may stand at the end of this line.
  completion_->add_option("--line", completion.line)->group("");
}

CliFlags CommandTree::Chosen() const {
  const CLI::App* command = line.command();
  if (command == train_) return train;
  if (command == check_) return check;
  if (command == test_) return test;
  if (command == features_) return features;
  if (command == time_) return time;
  if (command == plan_) return plan;
  if (command == status_) return status;
  if (command == submit_) return submit;
  if (command == jobs_) return jobs;
  if (command == watch_) return watch;
  if (command == logs_) return logs;
  if (command == cancel_) return cancel;
  if (command == forget_) return forget;
  if (command == history_) return history;
  if (command == plot_) return plot;
  if (command == model_export_) return model_export;
  if (command == snapshot_export_) return snapshot_export;
  if (command == import_idx_) return import_idx;
  if (command == import_cifar10_) return import_cifar10;
  if (command == import_leveldb_) return import_leveldb;
  if (command == import_images_) return import_images;
  if (command == data_partition_) return data_partition;
  if (command == write_partition_) return write_partition;
  if (command == write_manifest_) return write_manifest;
  if (command == data_mean_) return data_mean;
  if (command == data_info_) return data_info;
  if (command == fs_list_) return fs_list;
  if (command == fs_cat_) return fs_cat;
  if (command == fs_copy_) return fs_copy;
  if (command == fs_remove_) return fs_remove;
  if (command == yarn_launch_) return yarn_launch;
  if (command == yarn_status_) return yarn_status;
  if (command == yarn_flex_) return yarn_flex;
  if (command == yarn_logs_) return yarn_logs;
  if (command == yarn_stop_) return yarn_stop;
  if (command == yarn_train_) return yarn_train;
  if (command == doctor_) return doctor;
  if (command == completion_) return completion;
  return VersionFlags{};
}

}  // namespace samovar
