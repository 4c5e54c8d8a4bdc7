#include <filesystem>
#include <memory>
#include <string>

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
