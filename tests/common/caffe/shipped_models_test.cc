// The nets and solvers in config/models.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/caffe/solver_bundle.h"
#include "common/caffe/upgrade_net.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

std::string Folder() { return std::string(SAMOVAR_SOURCE_DIR) + "/config/models"; }

// The prototxt files of solvers, or of nets.
std::vector<std::string> Files(bool solvers) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Folder())) {
    if (entry.path().extension() != ".prototxt") continue;
    const bool solver = absl::StrContains(entry.path().filename().string(), "solver");
    if (solver == solvers) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The error in the wiring of a filtered net: a bottom that no layer before makes.
std::string OpenBottom(const caffe::NetParameter& net) {
  std::set<std::string> made;
  for (const caffe::LayerParameter& layer : net.layer()) {
    for (const std::string& bottom : layer.bottom()) {
      if (made.count(bottom) == 0) return layer.name() + ": " + bottom;
    }
    made.insert(layer.top().begin(), layer.top().end());
  }
  return "";
}

// Layers of each type in the net that `solver` trains.
std::map<std::string, int> Types(const std::string& solver) {
  const auto bundle = LoadSolver(Folder() + "/" + solver, {}, nullptr, StorageTable());
  REQUIRE_OK(bundle);
  std::map<std::string, int> types;
  for (const caffe::LayerParameter& layer : bundle->train_net.layer()) ++types[layer.type()];
  return types;
}

}  // namespace

TEST_CASE("every solver that comes with Samovar loads without a warning, with a net to train and one to test") {
  const std::vector<std::string> solvers = Files(true);
  CHECK(solvers.size() == 18);
  for (const std::string& path : solvers) {
    INFO(path);
    const auto bundle = LoadSolver(path, {}, nullptr, StorageTable());
    REQUIRE_OK(bundle);
    CHECK(bundle->warnings.empty());
    CHECK(OpenBottom(bundle->train_net) == "");
    CHECK(bundle->train_net.layer(0).type() == "Data");
    REQUIRE(bundle->test_nets.size() == 1);
    CHECK(OpenBottom(bundle->test_nets[0]) == "");
    CHECK(absl::StartsWith(bundle->solver.snapshot_prefix(), "output/"));
  }
}

TEST_CASE("every net that comes with Samovar loads by itself") {
  const std::vector<std::string> nets = Files(false);
  CHECK(nets.size() == 17);
  for (const std::string& path : nets) {
    INFO(path);
    REQUIRE_OK(LoadNet(path, nullptr, StorageTable()));
  }
}

TEST_CASE("the list of the models that come with Samovar names every file") {
  std::ifstream in(Folder() + "/README.md");
  const std::string readme(std::istreambuf_iterator<char>(in), {});
  for (const bool solvers : {false, true}) {
    for (const std::string& path : Files(solvers)) {
      INFO(path);
      CHECK(absl::StrContains(readme, absl::StrCat("`", std::filesystem::path(path).filename().string(), "`")));
    }
  }
}

TEST_CASE("the models have the layers of their papers") {
  std::map<std::string, int> resnet = Types("resnet20/resnet20_solver.prototxt");
  CHECK(resnet["Convolution"] == 21);
  CHECK(resnet["BatchNorm"] == 21);
  CHECK(resnet["Scale"] == 21);
  CHECK(resnet["Eltwise"] == 9);
  CHECK(resnet["ReLU"] == 19);
  std::map<std::string, int> googlenet = Types("googlenet/googlenet_quick_solver.prototxt");
  CHECK(googlenet["Convolution"] == 3 + 9 * 6 + 2);
  CHECK(googlenet["Concat"] == 9);
  CHECK(googlenet["InnerProduct"] == 5);
  CHECK(googlenet["SoftmaxWithLoss"] == 3);
  std::map<std::string, int> caffenet = Types("caffenet/caffenet_solver.prototxt");
  CHECK(caffenet["Convolution"] == 5);
  CHECK(caffenet["LRN"] == 2);
  CHECK(caffenet["Dropout"] == 2);
  std::map<std::string, int> vgg = Types("vgg16/vgg16_solver.prototxt");
  CHECK(vgg["Convolution"] == 13);
  CHECK(vgg["InnerProduct"] == 3);
  CHECK(vgg["Pooling"] == 5);
  std::map<std::string, int> resnet50 = Types("resnet50/resnet50_solver.prototxt");
  CHECK(resnet50["Convolution"] == 1 + 3 * 16 + 4);
  CHECK(resnet50["BatchNorm"] == 53);
  CHECK(resnet50["Eltwise"] == 16);
  CHECK(resnet50["ReLU"] == 1 + 3 * 16);
  std::map<std::string, int> squeezenet = Types("squeezenet/squeezenet_solver.prototxt");
  CHECK(squeezenet["Convolution"] == 2 + 8 * 3);
  CHECK(squeezenet["Concat"] == 8);
  CHECK(squeezenet["Pooling"] == 4);
  std::map<std::string, int> mobilenet = Types("mobilenet/mobilenet_solver.prototxt");
  CHECK(mobilenet["Convolution"] == 1 + 2 * 13 + 1);
  CHECK(mobilenet["ReLU"] == 27);
  std::map<std::string, int> nin = Types("nin/nin_solver.prototxt");
  CHECK(nin["Convolution"] == 12);
  CHECK(nin["InnerProduct"] == 0);
}

}  // namespace samovar
