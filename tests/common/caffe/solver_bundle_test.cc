#include "common/caffe/solver_bundle.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

const char kNet[] = R"(
name: "n"
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        data_param { source: "train_lmdb" } }
layer { name: "test" type: "Data" top: "data" top: "label" include { phase: TEST not_stage: "extra" }
        data_param { source: "/data/test_lmdb" } transform_param { mean_file: "mean.binaryproto" } }
layer { name: "extra" type: "Data" top: "data" top: "label" include { phase: TEST stage: "extra" }
        data_param { source: "hdfs://host/extra_lmdb" } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" }
)";

const char kSolver[] = "base_lr: 0.01 lr_policy: \"fixed\" max_iter: 100\n";

// A directory with net.prototxt and a solver.
class Files {
 public:
  Files() { Write("net.prototxt", kNet); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(dir_.File(name)) << text; }
  std::string File(const std::string& name) const { return dir_.File(name); }

  // The solver of kSolver and, from the second line on, `text`.
  absl::StatusOr<SolverBundle> Load(const std::string& text, const StorageTable& storage = StorageTable()) {
    Write("solver.prototxt", kSolver + text);
    return LoadSolver(dir_.File("solver.prototxt"), {}, nullptr, storage);
  }

 private:
  TempDir dir_;
};

std::string FirstLayer(const caffe::NetParameter& net) { return net.layer(0).name(); }

}  // namespace

TEST_CASE("the LeNet that comes with Samovar loads without a warning") {
  const std::string path = std::string(SAMOVAR_SOURCE_DIR) + "/config/models/lenet/lenet_solver.prototxt";
  const auto bundle = LoadSolver(path, {}, nullptr, StorageTable());
  REQUIRE_OK(bundle);
  CHECK(bundle->warnings.empty());
  CHECK(bundle->solver_path == path);
  CHECK(bundle->solver.max_iter() == 10000);
  CHECK(bundle->solver.lr_policy() == "inv");
  CHECK(bundle->solver.snapshot_prefix() == "output/lenet");
  CHECK(bundle->solver.solver_mode() == caffe::SolverParameter::CPU);
  CHECK(!bundle->solver.has_net());
  CHECK(bundle->train_net.layer_size() == 9);
  CHECK(bundle->train_net.layer(0).data_param().batch_size() == 64);
  CHECK(bundle->train_net.layer(0).transform_param().scale() == 1 / 256.f);
  CHECK(absl::EndsWith(bundle->train_net.layer(0).data_param().source(), "/data/fashion_mnist_train_lmdb"));
  REQUIRE(bundle->test_nets.size() == 1);
  CHECK(bundle->test_nets[0].layer_size() == 10);
  CHECK(bundle->test_nets[0].layer(0).data_param().batch_size() == 100);
  CHECK(bundle->solver.test_iter(0) == 100);
}

TEST_CASE("stages and a level of the command are added to train_state, and test nets have theirs alone") {
  Files files;
  files.Write("staged.prototxt", R"(
layer { name: "always" type: "Input" top: "a" }
layer { name: "staged" type: "Input" top: "b" include { stage: "one" stage: "two" min_level: 3 } })");
  files.Write(
      "solver.prototxt",
      absl::StrCat(kSolver,
                   R"(net: "staged.prototxt" test_iter: 1 test_interval: 5 train_state { stage: "two" level: 1 })"));
  const auto layers = [&](const StateChoice& choice) {
    const auto bundle = LoadSolver(files.File("solver.prototxt"), choice, nullptr, StorageTable());
    REQUIRE_OK(bundle);
    CHECK(bundle->test_nets[0].layer_size() == 1);
    return bundle->train_net.layer_size();
  };
  CHECK(layers({}) == 1);
  CHECK(layers({"one", std::nullopt}) == 1);
  CHECK(layers({"one", 3}) == 2);
  CHECK(layers({" zero , one ", 3}) == 2);
  CHECK(StateFlags({"a,b", 2}) == " --stage a,b --level 2");
  CHECK(StateFlags({}).empty());
}

TEST_CASE("a net is found beside its solver, and its sources become absolute") {
  Files files;
  std::filesystem::create_directory(files.File("train_lmdb"));
  const auto bundle = files.Load("net: \"net.prototxt\" test_iter: 3 test_interval: 10");
  REQUIRE_OK(bundle);
  CHECK(FirstLayer(bundle->train_net) == "train");
  CHECK(bundle->train_net.state().phase() == caffe::TRAIN);
  CHECK(bundle->train_net.layer(0).data_param().source() == files.File("train_lmdb"));
  REQUIRE(bundle->test_nets.size() == 1);
  CHECK(FirstLayer(bundle->test_nets[0]) == "test");
  CHECK(bundle->test_nets[0].layer(0).data_param().source() == "/data/test_lmdb");
  CHECK(bundle->test_nets[0].layer(0).include_size() == 0);
  // There is no such file in either place: the current directory counts.
  CHECK(bundle->test_nets[0].layer(0).transform_param().mean_file() ==
        (std::filesystem::current_path() / "mean.binaryproto").string());
}

TEST_CASE("every field that names a file becomes absolute, whatever the layer's type") {
  Files files;
  for (const char* name : {"lmdb", "list", "matrix", "mean"}) files.Write(name, "");
  std::filesystem::create_directory(files.File("images"));
  const auto bundle = files.Load(R"(net_param {
    layer { name: "a" type: "Data" data_param { source: "lmdb" } transform_param { mean_file: "mean" } }
    layer { name: "b" type: "MemoryData" memory_data_param { source: "lmdb" } }
    layer { name: "c" type: "HDF5Data" hdf5_data_param { source: "list" } }
    layer { name: "d" type: "ImageData" image_data_param { source: "list" root_folder: "images" } }
    layer { name: "e" type: "InfogainLoss" infogain_loss_param { source: "matrix" } } })");
  REQUIRE_OK(bundle);
  const auto layer = [&](int i) -> const caffe::LayerParameter& { return bundle->train_net.layer(i); };
  CHECK(layer(0).data_param().source() == files.File("lmdb"));
  CHECK(layer(0).transform_param().mean_file() == files.File("mean"));
  CHECK(layer(1).memory_data_param().source() == files.File("lmdb"));
  CHECK(layer(2).hdf5_data_param().source() == files.File("list"));
  CHECK(layer(3).image_data_param().source() == files.File("list"));
  CHECK(layer(3).image_data_param().root_folder() == files.File("images"));
  CHECK(layer(4).infogain_loss_param().source() == files.File("matrix"));
}

TEST_CASE("a net's own state counts, below the solver's") {
  Files files;
  const std::string net = R"(net_param { state { level: 3 stage: "own" }
      layer { name: "high" include { min_level: 3 stage: "own" } } layer { name: "low" include { max_level: 2 stage: "own" } }
      layer { name: "both" include { stage: "own" stage: "solver" } } } )";
  auto bundle = files.Load(net);
  REQUIRE_OK(bundle);
  REQUIRE(bundle->train_net.layer_size() == 1);
  CHECK(FirstLayer(bundle->train_net) == "high");
  bundle = files.Load(net + "train_state { level: 1 stage: \"solver\" }");
  REQUIRE_OK(bundle);
  REQUIRE(bundle->train_net.layer_size() == 2);
  CHECK(FirstLayer(bundle->train_net) == "low");
  CHECK(bundle->train_net.layer(1).name() == "both");
}

TEST_CASE("a path is taken from the current directory first, then from beside the file that names it") {
  TempDir dir;
  std::ofstream(dir.File("beside")) << "x";
  const std::string referring = dir.File("solver.prototxt");
  const std::string here = std::filesystem::current_path().string();
  CHECK(ResolvePath("beside", referring) == dir.File("beside"));
  CHECK(ResolvePath("./beside", referring) == dir.File("beside"));
  CHECK(ResolvePath("nowhere", referring) == here + "/nowhere");
  CHECK(ResolvePath("/absolute", referring) == "/absolute");
  CHECK(ResolvePath("hdfs://host/a", referring) == "hdfs://host/a");
  CHECK(ResolvePath("", referring) == "");
  CHECK(FindFile("nowhere", referring) == "nowhere");
}

TEST_CASE("inline nets, separate nets and a state a test load") {
  Files files;
  const auto separate = files.Load(
      "train_net: \"net.prototxt\" test_net: \"net.prototxt\" test_net_param { layer { name: \"inline\" } }\n"
      "test_iter: 1 test_iter: 2 test_interval: 10 test_state { } test_state { stage: \"extra\" }");
  REQUIRE_OK(separate);
  REQUIRE(separate->test_nets.size() == 2);
  CHECK(FirstLayer(separate->test_nets[0]) == "inline");
  CHECK(FirstLayer(separate->test_nets[1]) == "extra");
  CHECK(separate->test_nets[1].layer(0).data_param().source() == "hdfs://host/extra_lmdb");
  CHECK(separate->solver.test_state_size() + separate->solver.test_net_size() == 0);

  const auto generic = files.Load(
      "net: \"net.prototxt\" test_iter: 1 test_iter: 2 test_interval: 10\n"
      "test_state { stage: \"extra\" } test_state { }");
  REQUIRE_OK(generic);
  REQUIRE(generic->test_nets.size() == 2);
  CHECK(FirstLayer(generic->test_nets[0]) == "extra");
  CHECK(FirstLayer(generic->test_nets[1]) == "test");

  const auto inline_net = files.Load("net_param { layer { name: \"a\" } } train_state { level: 2 }");
  REQUIRE_OK(inline_net);
  CHECK(inline_net->train_net.state().level() == 2);
  CHECK(inline_net->test_nets.empty());
}

TEST_CASE("the default snapshot prefix is the solver's path, and a directory gets the solver's name") {
  Files files;
  auto bundle = files.Load("net: \"net.prototxt\"");
  REQUIRE_OK(bundle);
  CHECK(bundle->solver.snapshot_prefix() == files.File("solver"));
  std::filesystem::create_directory(files.File("out"));
  bundle = files.Load("net: \"net.prototxt\" snapshot_prefix: \"" + files.File("out") + "\"");
  REQUIRE_OK(bundle);
  CHECK(bundle->solver.snapshot_prefix() == files.File("out/solver"));
}

TEST_CASE("no net, two nets and a net that is not there are refused") {
  Files files;
  REQUIRE_STATUS(files.Load(""), absl::StatusCode::kInvalidArgument,
                 files.File("solver.prototxt") + ": the solver names no net");
  REQUIRE_STATUS(files.Load("net: \"net.prototxt\"\ntrain_net: \"net.prototxt\""), absl::StatusCode::kInvalidArgument,
                 "solver.prototxt:3:1: the net to train is given more than once; keep one of net, train_net");
  REQUIRE_STATUS(files.Load("net: \"none.prototxt\""), absl::StatusCode::kNotFound,
                 "solver.prototxt:2:1: net: there is no file none.prototxt in the current directory");
  REQUIRE_STATUS(LoadSolver(files.File("no_solver"), {}, nullptr, StorageTable()), absl::StatusCode::kNotFound,
                 files.File("no_solver"));
}

TEST_CASE("a net given as the solver is told apart") {
  Files files;
  REQUIRE_STATUS(LoadSolver(files.File("net.prototxt"), {}, nullptr, StorageTable()),
                 absl::StatusCode::kInvalidArgument, "this is a net");
}

TEST_CASE("errors in the net's text name the net's file") {
  Files files;
  files.Write("net.prototxt", "layer {\n  nam: \"a\"\n}");
  REQUIRE_STATUS(files.Load("net: \"net.prototxt\""), absl::StatusCode::kInvalidArgument,
                 files.File("net.prototxt") + ":2:3: unknown field \"nam\" in layer");
}

TEST_CASE("test nets, test_iter, test_state and test_interval must agree") {
  Files files;
  const std::string net = "net: \"net.prototxt\"\n";
  REQUIRE_STATUS(files.Load(net + "test_iter: 1"), absl::StatusCode::kInvalidArgument,
                 "solver.prototxt:3:1: test_iter needs test_interval");
  REQUIRE_STATUS(files.Load(net + "test_net: \"net.prototxt\" test_interval: 1"), absl::StatusCode::kInvalidArgument,
                 "there are 1 test nets, but 0 values of test_iter");
  REQUIRE_STATUS(files.Load("train_net: \"net.prototxt\"\ntest_iter: 1 test_interval: 1"),
                 absl::StatusCode::kInvalidArgument, "there are 0 test nets, but 1 values of test_iter");
  REQUIRE_STATUS(files.Load(net + "test_iter: 0 test_interval: 1"), absl::StatusCode::kInvalidArgument,
                 "solver.prototxt:3:1: test_iter must be at least 1, not 0");
  REQUIRE_STATUS(files.Load(net + "test_iter: 1 test_interval: 1 test_state { } test_state { }"),
                 absl::StatusCode::kInvalidArgument, "there are 1 tests (values of test_iter), but 2");
  // CaffeOnSpark's way to test nothing.
  const auto untested = files.Load(net + "test_iter: 0 test_interval: 0");
  REQUIRE_OK(untested);
  CHECK(untested->test_nets.empty());
  const auto idle = files.Load(net + "test_interval: 10");
  REQUIRE_OK(idle);
  REQUIRE(idle->warnings.size() == 1);
  CHECK(absl::StrContains(idle->warnings[0], "solver.prototxt:3:1: test_interval has no effect without test_iter"));
}

TEST_CASE("nets in Caffe's old form load, from files and from the solver") {
  Files files;
  files.Write("net.prototxt",
              "layers { name: \"d\" type: DATA top: \"x\" data_param { source: \"/x\" scale: 0.5 } }\n"
              "layers { name: \"ip\" type: INNER_PRODUCT blobs_lr: 3 bottom: \"x\" top: \"y\"\n"
              "         include { stage: \"s\" } }");
  const auto bundle = files.Load(
      "train_net: \"net.prototxt\" test_net: \"net.prototxt\" test_net_param { layers { name: \"r\" type: RELU } }\n"
      "test_iter: 1 test_iter: 2 test_interval: 10 train_state { stage: \"s\" }");
  REQUIRE_OK(bundle);
  CHECK(bundle->warnings.empty());
  REQUIRE(bundle->train_net.layer_size() == 2);
  CHECK(bundle->train_net.layers_size() == 0);
  CHECK(bundle->train_net.layer(0).transform_param().scale() == 0.5f);
  CHECK(bundle->train_net.layer(1).type() == "InnerProduct");
  CHECK(bundle->train_net.layer(1).param(0).lr_mult() == 3);
  REQUIRE(bundle->test_nets.size() == 2);
  CHECK(bundle->test_nets[0].layer(0).type() == "ReLU");
  CHECK(bundle->test_nets[1].layer_size() == 1);
}

TEST_CASE("a solver that holds its net in Caffe's old form loads, with a test net a stage") {
  Files files;
  const auto bundle = files.Load(R"(
    solver_type: ADAGRAD test_iter: 100 test_iter: 600 test_interval: 500
    test_state { stage: "test-on-test-set" } test_state { stage: "test-on-train-set" }
    net_param {
      name: "LeNet"
      layers { name: "mnist" type: DATA top: "data" top: "label" data_param { source: "train" backend: LMDB
               batch_size: 64 scale: 0.00390625 } include: { phase: TRAIN } }
      layers { name: "mnist" type: DATA top: "data" top: "label" data_param { source: "test" batch_size: 100 }
               include: { phase: TEST stage: "test-on-test-set" } }
      layers { name: "mnist" type: DATA top: "data" top: "label" data_param { source: "train" batch_size: 100 }
               include: { phase: TEST stage: "test-on-train-set" } }
      layers { name: "loss" type: SOFTMAX_LOSS bottom: "data" bottom: "label" top: "loss" }
    })");
  REQUIRE_OK(bundle);
  CHECK(bundle->solver.type() == "AdaGrad");
  CHECK(!bundle->solver.has_solver_type());
  CHECK(bundle->train_net.layer(0).data_param().batch_size() == 64);
  CHECK(bundle->train_net.layer(0).transform_param().scale() == 0.00390625f);
  CHECK(bundle->train_net.layer(1).type() == "SoftmaxWithLoss");
  REQUIRE(bundle->test_nets.size() == 2);
  CHECK(absl::EndsWith(bundle->test_nets[0].layer(0).data_param().source(), "/test"));
  CHECK(absl::EndsWith(bundle->test_nets[1].layer(0).data_param().source(), "/train"));
}

TEST_CASE("an old net that cannot be upgraded is refused where it stands, in its file or in the solver") {
  Files files;
  files.Write("net.prototxt", "name: \"old\"\n  layers { layer { name: \"conv1\" type: \"cnv\" } }");
  REQUIRE_STATUS(files.Load("net: \"net.prototxt\""), absl::StatusCode::kInvalidArgument,
                 files.File("net.prototxt") +
                     ":2:34: layer \"conv1\" has the type \"cnv\", which Caffe's first form does not have; did you "
                     "mean \"conv\"?");
  REQUIRE_STATUS(files.Load("net_param {\n layer { }\n\n layers { type: RELU } }"), absl::StatusCode::kInvalidArgument,
                 files.File("solver.prototxt") + ":5:2: the net has \"layers\", of Caffe's old form, and \"layer\"");
  REQUIRE_STATUS(
      files.Load("net: \"net.prototxt\" test_iter: 1 test_iter: 1 test_interval: 1\ntest_net_param { layer { } }\n"
                 "test_net_param {\n  layers { name: \"a\" type: NONE } }"),
      absl::StatusCode::kInvalidArgument, files.File("net.prototxt"));
  REQUIRE_STATUS(
      files.Load("net_param { layer { } } test_iter: 1 test_iter: 1 test_interval: 1\ntest_net_param { layer { } }\n"
                 "test_net_param {\n  layers { name: \"a\" type: NONE } }"),
      absl::StatusCode::kInvalidArgument, files.File("solver.prototxt") + ":5:22: layer \"a\" has no type");
}

TEST_CASE("the solver's type and its other settings are kept, and its weights become absolute paths") {
  Files files;
  files.Write("a.caffemodel", "");
  StorageTable storage;
  storage.Add("hdfs", std::make_shared<MountedStorage>(files.File("")));
  const auto bundle = files.Load(

      "net: \"net.prototxt\" type: \"Adam\" momentum: 0.9 iter_size: 4 clip_gradients: 35\n"
      "weights: \"a.caffemodel, /b.caffemodel\" weights: \"hdfs://host/c\" snapshot_format: HDF5",
      storage);
  REQUIRE_OK(bundle);
  CHECK(bundle->warnings.empty());
  CHECK(bundle->solver.type() == "Adam");
  CHECK(bundle->solver.iter_size() == 4);
  CHECK(bundle->solver.clip_gradients() == 35);
  CHECK(bundle->solver.snapshot_format() == caffe::SolverParameter::HDF5);
  REQUIRE(bundle->solver.weights_size() == 3);
  CHECK(bundle->solver.weights(0) == files.File("a.caffemodel"));
  CHECK(bundle->solver.weights(1) == "/b.caffemodel");
  CHECK(bundle->solver.weights(2) == "hdfs://host/c");
}

TEST_CASE("a net without layers, or without any in the phase, is refused") {
  Files files;
  files.Write("net.prototxt", "name: \"empty\"");
  REQUIRE_STATUS(files.Load("net: \"net.prototxt\""), absl::StatusCode::kInvalidArgument, "the net has no layers");
  REQUIRE_STATUS(files.Load("net_param { layer { include { phase: TEST } } }"), absl::StatusCode::kInvalidArgument,
                 "no layer of the net belongs to phase TRAIN");
  REQUIRE_STATUS(files.Load("net_param { layer { } } train_state { phase: TEST }"), absl::StatusCode::kInvalidArgument,
                 "the net that is trained is in phase TEST");
  REQUIRE_STATUS(files.Load("net_param { layer { name: \"b\" include { } exclude { } } }"),
                 absl::StatusCode::kInvalidArgument, files.File("solver.prototxt") + ":2:43: layer \"b\"");
}

TEST_CASE("a transform in data_param of a present layer is warned of, as it has no effect in Caffe") {
  Files files;
  files.Write("net.prototxt",
              "layer { type: \"Data\"\n  data_param { source: \"x\" scale: 0.5\n mirror: true } }\n"
              "layer { image_data_param { crop_size: 3 } }");
  const auto bundle = files.Load("net: \"net.prototxt\"");
  REQUIRE_OK(bundle);
  REQUIRE(bundle->warnings.size() == 3);
  CHECK(bundle->warnings[0] ==
        files.File("net.prototxt") +
            ":2:28: scale has no effect in data_param of a layer, as in Caffe; write it in transform_param");
  CHECK(absl::StartsWith(bundle->warnings[1], files.File("net.prototxt") + ":3:2: mirror"));
  CHECK(absl::StartsWith(bundle->warnings[2], files.File("net.prototxt") + ":4:28: crop_size"));
  CHECK(!bundle->train_net.layer(0).has_transform_param());
}

TEST_CASE("wrong values of the solver stop the load, all of them at once") {
  Files files;
  REQUIRE_STATUS(files.Load("net: \"net.prototxt\"\nmomentum: 2\ndisplay: -1"), absl::StatusCode::kInvalidArgument,
                 files.File("solver.prototxt") + ":4:1: display must be at least 0, not -1\n" +
                     files.File("solver.prototxt") + ":3:1: momentum must be at least 0 and below 1, not 2");
}

}  // namespace samovar
