#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/caffe/mean_file.h"
#include "common/caffe/model_file.h"
#include "common/caffe/solver_bundle.h"
#include "common/caffe/solver_state_file.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  Fixture() { storage.Add("mem", mounted); }

  TempDir dir;
  std::shared_ptr<MountedStorage> mounted = std::make_shared<MountedStorage>(dir.path());
  StorageTable storage;
};

TEST_CASE_METHOD(Fixture, "a model goes to the storage that its name says, and comes back, in both formats") {
  caffe::NetParameter model;
  model.add_layer()->set_name("ip");
  caffe::BlobProto* blob = model.mutable_layer(0)->add_blobs();
  blob->mutable_shape()->add_dim(2);
  blob->add_data(1);
  blob->add_data(2);
  for (const std::string uri : {"mem:/out/m.caffemodel", "mem:/out/m.caffemodel.h5"}) {
    INFO(uri);
    REQUIRE_OK(WriteModel(uri, model, storage));
    CHECK(std::filesystem::exists(dir.path() + uri.substr(4)));
    const auto read = ReadModel(uri, storage);
    REQUIRE_OK(read);
    CHECK(read->layer(0).blobs(0).data(1) == 2);
    REQUIRE_STATUS(ReadModel(uri, StorageTable()), absl::StatusCode::kInvalidArgument, "\"mem:\" is not offered");
    REQUIRE_STATUS(WriteModel(uri, model, StorageTable()), absl::StatusCode::kInvalidArgument,
                   "\"mem:\" is not offered");
  }
  CHECK_FALSE(std::filesystem::exists("mem:"));
}

TEST_CASE_METHOD(Fixture, "a solver's state goes to the storage that its name says, and comes back, in both formats") {
  caffe::SolverState state;
  state.set_iter(7);
  state.set_learned_net("m.caffemodel");
  for (const std::string uri : {"mem:/m.solverstate", "mem:/m.solverstate.h5"}) {
    INFO(uri);
    REQUIRE_OK(WriteSolverState(uri, state, storage));
    const auto read = ReadSolverState(uri, storage);
    REQUIRE_OK(read);
    CHECK(read->iter() == 7);
    REQUIRE_STATUS(ReadSolverState(uri, StorageTable()), absl::StatusCode::kInvalidArgument, "is not offered");
  }
}

TEST_CASE_METHOD(Fixture, "a mean goes to the storage that its name says, and comes back") {
  caffe::BlobProto mean;
  mean.set_num(1);
  mean.set_channels(1);
  mean.set_height(1);
  mean.set_width(2);
  mean.add_data(3);
  mean.add_data(4);
  REQUIRE_OK(WriteMeanFile("mem:/mean.binaryproto", mean, storage));
  CHECK(ReadMeanFile("mem:/mean.binaryproto", storage)->data(1) == 4);
  REQUIRE_STATUS(ReadMeanFile("mem:/mean.binaryproto", StorageTable()), absl::StatusCode::kInvalidArgument,
                 "is not offered");
}

TEST_CASE_METHOD(Fixture,
                 "a solver in a storage names what is beside it, and only else what the current directory has") {
  const std::filesystem::path before = std::filesystem::current_path();
  const TempDir here;
  std::filesystem::current_path(here.path());
  const auto load = [&] { return LoadSolver("mem:/p/solver.prototxt", {}, nullptr, storage); };
  const auto warns = [](const SolverBundle& bundle, const std::string& words) {
    return std::any_of(bundle.warnings.begin(), bundle.warnings.end(),
                       [&](const std::string& warning) { return absl::StrContains(warning, words); });
  };
  const std::string net =
      "layer { name: \"d\" type: \"Data\" data_param { source: \"lmdb\" } transform_param { mean_file: \"mean\" } }";
  REQUIRE_OK(
      storage.PutBytes("mem:/p/solver.prototxt",
                       "base_lr: 0.01 lr_policy: \"fixed\" max_iter: 1 weights: \"w\"\nnet: \"net.prototxt\"\n"));
  const std::vector<std::string> names = {"lmdb", "mean", "w", "net.prototxt"};
  for (const std::string& name : names) REQUIRE_OK(storage.PutBytes(here.File(name), net));
  const auto from_here = load();
  REQUIRE_OK(from_here);
  CHECK(from_here->train_net.layer(0).data_param().source() == here.File("lmdb"));
  CHECK(from_here->solver.weights(0) == here.File("w"));
  for (const char* const name : {"w", "net.prototxt"}) {
    INFO(name);
    CHECK(warns(*from_here, absl::StrCat("there is no mem:/p/", name, ", beside the file that names it; ",
                                         here.File(name), ", in the current directory, is taken")));
  }
  REQUIRE_OK(storage.PutBytes("mem:/p/net.prototxt", net));
  std::filesystem::create_directory(dir.File("p/lmdb"));
  for (const char* const name : {"mean", "w"}) REQUIRE_OK(storage.PutBytes(absl::StrCat("mem:/p/", name), "x"));
  const auto beside = load();
  REQUIRE_OK(beside);
  CHECK(beside->train_net.layer(0).data_param().source() == "mem:/p/lmdb");
  CHECK(beside->train_net.layer(0).transform_param().mean_file() == "mem:/p/mean");
  CHECK(beside->solver.weights(0) == "mem:/p/w");
  for (const std::string& name : names) {
    INFO(name);
    CHECK(warns(*beside, absl::StrCat("mem:/p/", name, ", beside the file that names it, is taken, and ",
                                      here.File(name), ", in the current directory, is not")));
    std::filesystem::remove_all(here.File(name));
  }
  const auto alone = load();
  std::filesystem::current_path(before);
  REQUIRE_OK(alone);
  CHECK(alone->warnings.empty());
}

TEST_CASE_METHOD(Fixture, "each name in a solver that is of no known scheme is refused by file, line and field") {
  const auto refused = [&](const std::string& line, const std::string& field) {
    INFO(line);
    const std::string solver = "base_lr: 0.01 lr_policy: \"fixed\" max_iter: 1\n" + line + "\n";
    REQUIRE_OK(storage.PutBytes("mem:/solver.prototxt", solver));
    REQUIRE_STATUS(LoadSolver("mem:/solver.prototxt", {}, nullptr, storage), absl::StatusCode::kInvalidArgument,
                   "mem:/solver.prototxt:2:1: " + field + ": s3://b/x: the scheme \"s3:\" is not offered");
  };
  refused("net: \"s3://b/x\"", "net");
  refused("train_net: \"s3://b/x\"", "train_net");
  refused("snapshot_prefix: \"s3://b/x\" net_param { layer { name: \"a\" type: \"Input\" top: \"a\" } }",
          "snapshot_prefix");
  refused("weights: \"s3://b/x\" net_param { layer { name: \"a\" type: \"Input\" top: \"a\" } }", "weights");
}

}  // namespace
}  // namespace samovar
