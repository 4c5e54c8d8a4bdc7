#include "common/caffe/model_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "common/caffe/prototxt.h"
#include "common/storage/write_file.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

caffe::NetParameter Model(const std::string& blob = "shape { dim: 2 dim: 2 } data: 1 data: 2 data: 3 data: 4") {
  auto model = ParseNet("name: \"m\" layer { name: \"ip\" type: \"InnerProduct\" blobs { " + blob + " } }", "model");
  REQUIRE_OK(model);
  return *model;
}

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteBytes(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// The result of reading a model of any program with this one blob.
absl::Status ReadBlob(const std::string& blob) {
  TempDir dir;
  WriteBytes(dir.File("m.caffemodel"), Model(blob).SerializeAsString());
  return ReadModel(dir.File("m.caffemodel"), StorageTable()).status();
}

}  // namespace

TEST_CASE("a model is read as it was written") {
  TempDir dir;
  const std::string path = dir.File("m.caffemodel");
  REQUIRE_OK(WriteModel(path, Model(), StorageTable()));
  const auto model = ReadModel(path, StorageTable());
  REQUIRE_OK(model);
  CHECK(model->SerializeAsString() == Model().SerializeAsString());
}

TEST_CASE("a model is Caffe's format to the byte") {
  TempDir dir;
  const std::string path = dir.File("m.caffemodel");
  // name (1), layer (100) { name (1), type (2), blobs (7) { shape (7) { dim (1), packed }, data (5), packed } }
  const std::string blob("\x3a\x03\x0a\x01\x02\x2a\x08\x00\x00\x80\x3f\x00\x00\x00\x40", 15);
  const std::string layer = "\x0a\x02ip\x12\x0cInnerProduct\x3a\x0f" + blob;
  const std::string bytes = "\x0a\x01m\xa2\x06" + std::string(1, static_cast<char>(layer.size())) + layer;
  WriteBytes(path, bytes);
  const auto model = ReadModel(path, StorageTable());
  REQUIRE_OK(model);
  CHECK(model->layer(0).type() == "InnerProduct");
  REQUIRE(model->layer(0).blobs(0).data_size() == 2);
  CHECK(model->layer(0).blobs(0).data(1) == 2);
  REQUIRE_OK(WriteModel(path, *model, StorageTable()));
  CHECK(Bytes(path).size() == bytes.size());
}

TEST_CASE("writing a model makes its directory, replaces the old file and leaves nothing else") {
  TempDir dir;
  const std::string path = dir.File("output/deep/m.caffemodel");
  REQUIRE_OK(WriteModel(path, Model("shape { dim: 1 } data: 7"), StorageTable()));
  REQUIRE_OK(WriteModel(path, Model(), StorageTable()));
  CHECK(Bytes(path) == Model().SerializeAsString());
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.File("output/deep"))) {
    ++files;
    CHECK(entry.path().filename() == "m.caffemodel");
  }
  CHECK(files == 1);
}

TEST_CASE("a model that is read and written again is the same to the byte") {
  TempDir dir;
  const std::string path = dir.File("m.caffemodel");
  auto model = ParseNet(R"(
    name: "net" state { phase: TRAIN }
    layer { name: "data" type: "Data" top: "data" phase: TRAIN data_param { source: "x" backend: LMDB } }
    layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" param { lr_mult: 0 decay_mult: 0 }
            param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } blobs { shape { dim: 1 } data: 1 }
            blobs { shape { dim: 1 } data: 2 } blobs { shape { dim: 1 } data: nan } }
    layer { name: "split" type: "Split" bottom: "bn" top: "a" top: "b" }
    layer { name: "ip" type: "InnerProduct" bottom: "a" blobs { shape { dim: 2 dim: 1 } data: -0.0 data: 1e-42 }
            blobs { num: 1 channels: 1 height: 1 width: 1 data: 7 } })",
                        "model");
  REQUIRE_OK(model);
  REQUIRE_OK(WriteModel(path, *model, StorageTable()));
  const std::string bytes = Bytes(path);
  const auto read = ReadModel(path, StorageTable());
  REQUIRE_OK(read);
  REQUIRE_OK(WriteModel(path, *read, StorageTable()));
  CHECK(Bytes(path) == bytes);
}

TEST_CASE("a name that ends in .h5 is of a model in HDF5, which is read whatever its name") {
  TempDir dir;
  REQUIRE_OK(WriteModel(dir.File("m.caffemodel.h5"), Model(), StorageTable()));
  std::filesystem::rename(dir.File("m.caffemodel.h5"), dir.File("m"));
  const auto model = ReadModel(dir.File("m"), StorageTable());
  REQUIRE_OK(model);
  REQUIRE(model->layer_size() == 1);
  CHECK(model->layer(0).name() == "ip");
  CHECK(model->layer(0).blobs(0).SerializeAsString() == Model().layer(0).blobs(0).SerializeAsString());
}

TEST_CASE("a model in Caffe's old form is read upgraded") {
  TempDir dir;
  const std::string path = dir.File("m.caffemodel");
  auto old_model = ParseNet(R"(
    name: "old" layers { name: "ip" type: INNER_PRODUCT blobs_lr: 2 blobs { num: 1 channels: 1 height: 1 width: 2
    data: 1 data: 2 } })",
                            "old");
  REQUIRE_OK(old_model);
  WriteBytes(path, old_model->SerializeAsString());
  const auto model = ReadModel(path, StorageTable());
  REQUIRE_OK(model);
  CHECK(model->layers_size() == 0);
  REQUIRE(model->layer_size() == 1);
  CHECK(model->layer(0).type() == "InnerProduct");
  CHECK(model->layer(0).param(0).lr_mult() == 2);
  CHECK(model->layer(0).blobs(0).width() == 2);
  CHECK(model->layer(0).blobs(0).data(1) == 2);
}

TEST_CASE("a model that cannot be written is an error that leaves nothing behind") {
  TempDir dir;
  WriteBytes(dir.File("file"), "x");
  CHECK(!WriteModel(dir.File("file/m.caffemodel"), Model(), StorageTable()).ok());
  std::filesystem::create_directory(dir.File("taken"));
  const absl::Status status = WriteModel(dir.File("taken"), Model(), StorageTable());
  CHECK(!status.ok());
  CHECK(absl::StrContains(status.message(), dir.File("taken")));
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 2);
}

TEST_CASE("shapes in the old form and doubles are read") {
  REQUIRE_OK(ReadBlob("num: 1 channels: 1 height: 2 width: 2 data: 1 data: 2 data: 3 data: 4"));
  REQUIRE_OK(ReadBlob("shape { dim: 2 } double_data: 1 double_data: 2"));
  REQUIRE_OK(ReadBlob("data: 1"));
  TempDir dir;
  WriteBytes(dir.File("m"), Model("shape { dim: 2 } double_data: 1.5 double_data: 2").SerializeAsString());
  const auto model = ReadModel(dir.File("m"), StorageTable());
  REQUIRE_OK(model);
  CHECK(model->layer(0).blobs(0).SerializeAsString() ==
        Model("shape { dim: 2 } data: 1.5 data: 2").layer(0).blobs(0).SerializeAsString());
}

TEST_CASE("a blob with fewer or more values than its shape says is data loss, by layer and blob") {
  REQUIRE_STATUS(ReadBlob("shape { dim: 2 dim: 2 } data: 1"), absl::StatusCode::kDataLoss,
                 "blob 0 of layer \"ip\" holds 1 values; its shape says 4");
  REQUIRE_STATUS(ReadBlob("shape { dim: 1 } data: 1 data: 2"), absl::StatusCode::kDataLoss, "holds 2 values");
  REQUIRE_STATUS(ReadBlob("shape { dim: -1 } data: 1"), absl::StatusCode::kDataLoss, "its shape is impossible");
  REQUIRE_STATUS(ReadBlob("shape { dim: 4611686018427387904 dim: 4 } data: 1"), absl::StatusCode::kDataLoss,
                 "its shape is impossible");
}

TEST_CASE("files that are no model are errors that say what they are") {
  TempDir dir;
  const std::string path = dir.File("x");
  REQUIRE_STATUS(ReadModel(path, StorageTable()), absl::StatusCode::kNotFound, path);
  REQUIRE_STATUS(ReadModel(dir.path(), StorageTable()), absl::StatusCode::kInvalidArgument, "is a directory");
  WriteBytes(path, "");
  REQUIRE_STATUS(ReadModel(path, StorageTable()), absl::StatusCode::kDataLoss, "no layers");
  WriteBytes(path, "name: \"this is text\"");
  REQUIRE_STATUS(ReadModel(path, StorageTable()), absl::StatusCode::kDataLoss, path);
  WriteBytes(path, "\x89HDF\r\n\x1a\n and more");
  REQUIRE_STATUS(ReadModel(path, StorageTable()), absl::StatusCode::kDataLoss,
                 path + ": this is not a whole file in HDF5");
  REQUIRE(mkfifo(dir.File("pipe").c_str(), 0600) == 0);
  REQUIRE_STATUS(ReadModel(dir.File("pipe"), StorageTable()), absl::StatusCode::kInvalidArgument, "not a regular file");
  caffe::NetParameter first;
  first.add_layers()->mutable_layer()->set_name("a");
  WriteBytes(path, first.SerializeAsString());
  REQUIRE_STATUS(ReadModel(path, StorageTable()), absl::StatusCode::kInvalidArgument,
                 path + ": layer \"a\" has the type \"\", which Caffe's first form does not have");
}

TEST_CASE("every truncation of a model and any noise in it is an error or a model, not a crash") {
  TempDir dir;
  const std::string path = dir.File("m");
  const std::string bytes = Model().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    WriteBytes(path, bytes.substr(0, size));
    // All of it is one layer after the name, so that no part of it is a model.
    CHECK(ReadModel(path, StorageTable()).status().code() == absl::StatusCode::kDataLoss);
  }
  std::mt19937 random(11);
  for (int i = 0; i < 500; ++i) {
    std::string noisy = bytes;
    for (int k = 0; k < 3; ++k) noisy[random() % noisy.size()] = static_cast<char>(random());
    WriteBytes(path, noisy);
    const auto model = ReadModel(path, StorageTable());
    if (!model.ok()) CHECK(absl::StrContains(model.status().message(), path));
  }
}

TEST_CASE("what cannot be written is said once, whoever says it") {
  const absl::Status once = absl::ResourceExhaustedError("cannot write out/m: No space left on device");
  CHECK(CannotWrite("out/m", once) == once);
  CHECK(CannotWrite("out/m", absl::UnavailableError("server 1 does not answer")).message() ==
        "cannot write out/m: server 1 does not answer");
  REQUIRE_OK(CannotWrite("out/m", absl::OkStatus()));
}

}  // namespace samovar
