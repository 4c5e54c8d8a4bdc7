// The commands that run one net in their own process.
#include "config/command_tree.h"

namespace samovar {
namespace {

constexpr char kTestExamples[] =
    "Prints the mean of each output over all records, the last ones too if they do not fill a batch.\n"
    "Example:\n"
    "  samovar test --model lenet_train_test.prototxt --weights lenet_iter_10000.caffemodel";
constexpr char kFeaturesExamples[] =
    "A row is a JSON object: the record's key, then all values of each blob, in the order that they are asked for:\n"
    "  {\"SampleID\":\"00000007\",\"accuracy\":[1.0],\"loss\":[0.028],\"label\":[2.0]}\n"
    "Rows come in the order of keys, one for each record. The file is DIR/features.jsonl.\n"
    "Example:\n"
    "  samovar features --model lenet_train_test.prototxt --weights lenet_iter_10000.caffemodel --blobs accuracy,loss "
    "\\\n"
    "      --label label --output features";
constexpr char kTimeExamples[] =
    "Shows the median of each layer's forward and backward pass; of layers with matrix products also the rate, and "
    "its part of\n"
    "the peak that this machine reaches just then. Reading data and updating weights are not in it.\n"
    "Examples:\n"
    "  samovar time --model lenet_train_test.prototxt\n"
    "  samovar time --model cifar10_quick_train_test.prototxt --shape 3x32x32 --threads 2 --json";

}  // namespace

void CommandTree::AddState(CLI::App* command, StateChoice* state) {
  command
      ->add_option("--stage", state->stages,
                   "Adds these stages to the net's state, for its include and exclude rules; of a solver's nets, to "
                   "that of the one that is trained")
      ->type_name("NAME[,NAME...]")
      ->default_str("");
  command->add_option("--level", state->level, "Sets the level of that state")->type_name("N")->default_str("");
}

void CommandTree::AddModelFiles(CLI::App* command, ModelFiles* files) {
  line.Require(
      command,
      command->add_option("--model", files->model, "Reads the net from this prototxt file, as it is in phase TEST")
          ->type_name("FILE")
          ->transform(StoredPathValidator(storage_)));
  line.Require(command, command->add_option("--weights", files->weights, "Reads the weights from this .caffemodel file")
                            ->type_name("FILE")
                            ->transform(StoredPathValidator(storage_)));
  command
      ->add_option("--data", files->data,
                   "Reads records from here (an LMDB's directory, a list of files) instead of where the net says")
      ->type_name("PATH")
      ->transform(StoredPathValidator(storage_));
  AddState(command, &files->state);
}

void CommandTree::AddTest() {
  test_ = line.AddCommand(line.app(), "test", "Tests a trained model on all records of its data", kTestExamples);
  AddModelFiles(test_, &test.files);
  test_->add_option("--threads", test.threads, "Computes with so many threads")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  test_->add_flag("--json", test.json, "Prints one JSON object");
}

void CommandTree::AddFeatures() {
  features_ = line.AddCommand(line.app(), "features", "Writes blobs of a net for each record", kFeaturesExamples);
  AddModelFiles(features_, &features.files);
  line.Require(features_, features_->add_option("--blobs", features.blobs, "Writes these blobs, separated by commas")
                              ->type_name("NAME[,NAME...]"));
  features_->add_option("--label", features.label, "Writes this blob last, the one that holds the label")
      ->type_name("NAME");
  line.Require(
      features_,
      features_->add_option("--output", features.output, "Writes features.jsonl into this directory; - prints the rows")
          ->type_name("DIR")
          ->transform(StoredPathValidator(storage_)));
  features_->add_option("--threads", features.threads, "Computes with so many threads")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  features_->add_flag("--force", features.force, "Replaces a file that is there already");
}

void CommandTree::AddTime() {
  time_ = line.AddCommand(line.app(), "time", "Measures how long each layer of a net takes", kTimeExamples);
  line.Require(time_, time_->add_option("--model", time.model, "Reads the net from this prototxt file")
                          ->type_name("FILE")
                          ->transform(StoredPathValidator(storage_)));
  time_->add_option("--phase", time.phase, "Takes the net as it is in this phase; TEST has no backward pass")
      ->type_name("TRAIN|TEST")
      ->check(OneOf({"TRAIN", "TEST"}));
  AddState(time_, &time.state);
  time_
      ->add_option("--shape", time.shape,
                   "Makes up records of this shape instead of reading data; one for each data layer, or one for all")
      ->type_name("CxHxW[,CxHxW...]");
  time_->add_option("--iterations", time.iterations, "Takes the median of so many passes")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
  time_->add_option("--threads", time.threads, "Computes with so many threads")
      ->type_name("N")
      ->check(Between(1, kMaxCount));
  time_->add_flag("--memory", time.memory, "Tells what memory the blobs take that each layer needs, too");
  time_->add_flag("--json", time.json, "Prints one JSON object");
}

}  // namespace samovar
