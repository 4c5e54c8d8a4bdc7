#include "config/cli_line.h"

#include <cstdint>
#include <limits>

namespace samovar {
namespace {

constexpr char kDescription[] =
    "Trains Caffe nets on this machine's processors with parameter servers and workers.\n"
    "A solver, its net and its data are taken as Caffe takes them: prototxt files and LMDBs.";
constexpr char kExamples[] =
    "From data to a model:\n"
    "  samovar data import idx --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz \\\n"
    "      --output examples/mnist/mnist_train_lmdb\n"
    "  samovar check examples/mnist/lenet_solver.prototxt\n"
    "  samovar train --solver examples/mnist/lenet_solver.prototxt\n"
    "\"samovar COMMAND --help\" explains a command. Exit codes: 0 done, 1 failed, 2 wrong flags or files, 130 and 143 "
    "interrupted.";

constexpr char kTrainExamples[] =
    "Files: models are written as SNAPSHOT_PREFIX_iter_N.caffemodel, with SNAPSHOT_PREFIX_iter_N.solverstate beside it, at "
    "each snapshot\n"
    "and at the end. Snapshots of the servers and the logs of all processes are kept in the state directory.\n"
    "Examples:\n"
    "  samovar train --solver lenet_solver.prototxt\n"
    "  samovar train --solver lenet_solver.prototxt --workers 4 --threads 2 --seed 1\n"
    "  samovar train --solver lenet_solver.prototxt --resume\n"
    "Finetuning: rename the layers that are to be trained anew, then\n"
    "  samovar train --solver finetune_solver.prototxt --weights bvlc_reference_caffenet.caffemodel\n"
    "Continuing what Caffe trained, or a finished run with a larger max_iter:\n"
    "  samovar train --solver lenet_solver.prototxt --snapshot lenet_iter_5000.solverstate";
constexpr char kCheckExamples[] =
    "Example:\n"
    "  samovar check examples/mnist/lenet_solver.prototxt";
constexpr char kStatusExamples[] =
    "Examples:\n"
    "  samovar status 127.0.0.1:7100\n"
    "  samovar status 127.0.0.1:7100 --json";
constexpr char kImportIdxExamples[] =
    "Example:\n"
    "  samovar data import idx --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz --output "
    "mnist_test_lmdb";
constexpr char kInfoExamples[] =
    "Example:\n"
    "  samovar data info mnist_test_lmdb";
constexpr char kCompletionExamples[] =
    "Examples:\n"
    "  source <(samovar completion bash)\n"
    "  samovar completion zsh > ~/.zfunc/_samovar";

}  // namespace

CliLine::CliLine() : line("samovar", kDescription) {
  line.app()->footer(kExamples);
  AddTrain();
  AddCheck();
  AddStatus();
  AddData();
  AddSmallCommands();
}

void CliLine::AddTrain() {
  train_ = line.AddCommand(line.app(), "train", "Trains a net on this machine, from a solver file to a model",
                           kTrainExamples);
  line.Require(
      train_,
      train_->add_option("--solver", train.solver, "Reads the solver from this prototxt file")->type_name("FILE"));
  train_->add_option("--servers", train.servers, "Starts so many parameter servers, which share the model")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  train_->add_option("--workers", train.workers, "Starts so many workers, which compute gradients")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  train_->add_option("--threads", train.threads, "Gives each worker so many threads")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  train_
      ->add_option("--seed", train.seed,
                   "Draws initial weights and the order of records from this number; otherwise from the "
                   "solver's random_seed, or a random one")
      ->type_name("N")
      ->default_str("")
      ->check(Between(0, std::numeric_limits<uint64_t>::max()));
  train_
      ->add_option("--weights", train.weights,
                   "Begins from the weights of these .caffemodel files (finetuning): each layer takes those of the layer of "
                   "its name, the others keep their fillers; several files are separated by commas, the last that has a "
                   "layer counts; replaces the solver's weights")
      ->type_name("FILE[,FILE...]")
      ->default_str("");
  train_
      ->add_option("--snapshot", train.snapshot,
                   "Continues at the iteration of this .solverstate file, from its history and the model that it names; "
                   "to continue an interrupted run of Samovar itself, --resume is exact")
      ->type_name("FILE")
      ->default_str("");
  train_->add_flag("--resume", train.resume, "Continues the earlier run from its last snapshot");
  train_->add_flag("--restart", train.restart,
                   "Begins anew and removes the snapshots of an earlier run that did not finish");
  train_
      ->add_option("--state", train.state,
                   "Keeps snapshots and logs in this directory instead of SNAPSHOT_PREFIX_state")
      ->type_name("DIR");
  train_->add_flag("--json", train.json, "Reports what happens as one JSON object a line");
  AddLogLevel(train_, &train.log_level);
}

void CliLine::AddCheck() {
  check_ =
      line.AddCommand(line.app(), "check", "Checks a solver, its nets and its data without training", kCheckExamples);
  line.Require(
      check_,
      check_->add_option("solver", check.solver, "Reads the solver from this prototxt file")->type_name("SOLVER"));
}

void CliLine::AddStatus() {
  status_ = line.AddCommand(line.app(), "status", "Shows the servers, workers and jobs of a running cluster",
                            kStatusExamples);
  line.Require(status_, status_->add_option("address", status.address, "Asks the coordinator at this HOST:PORT")
                            ->type_name("ADDRESS")
                            ->check(AddressValidator(/*any_port=*/false)));
  status_->add_flag("--json", status.json, "Writes the whole status as JSON");
}

void CliLine::AddData() {
  CLI::App* data = line.AddCommand(line.app(), "data", "Makes and describes the LMDBs that nets are trained on", "");
  CLI::App* importers = line.AddCommand(data, "import", "Makes an LMDB from files of another format", "");
  import_idx_ =
      line.AddCommand(importers, "idx", "Makes an LMDB from the IDX files of MNIST and its relatives, gzipped or not",
                      kImportIdxExamples);
  line.Require(
      import_idx_,
      import_idx_->add_option("--images", import_idx.images, "Reads the images from this IDX file")->type_name("FILE"));
  line.Require(
      import_idx_,
      import_idx_->add_option("--labels", import_idx.labels, "Reads the labels from this IDX file")->type_name("FILE"));
  line.Require(
      import_idx_,
      import_idx_->add_option("--output", import_idx.output, "Makes the LMDB in this directory")->type_name("DIR"));
  import_idx_->add_flag("--force", import_idx.force, "Replaces an LMDB that is there already");
  data_info_ =
      line.AddCommand(data, "info", "Describes an LMDB: its records, their shape and their labels", kInfoExamples);
  line.Require(data_info_,
               data_info_->add_option("lmdb", data_info.path, "Reads the LMDB in this directory")->type_name("DIR"));
}

void CliLine::AddSmallCommands() {
  line.AddCommand(line.app(), "version", "Shows the version", "");
  completion_ = line.AddCommand(line.app(), "completion", "Writes a script that completes commands in a shell",
                                kCompletionExamples);
  line.Require(completion_, completion_->add_option("shell", completion.shell, "Writes for this shell")
                                ->type_name("bash|zsh")
                                ->check(OneOf({"bash", "zsh"})));
}

CliFlags CliLine::Chosen() const {
  const CLI::App* command = line.command();
  if (command == train_) return train;
  if (command == check_) return check;
  if (command == status_) return status;
  if (command == import_idx_) return import_idx;
  if (command == data_info_) return data_info;
  if (command == completion_) return completion;
  return VersionFlags{};
}

}  // namespace samovar
