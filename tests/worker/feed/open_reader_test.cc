#include "worker/feed/open_reader.h"

#include "absl/strings/str_cat.h"
#include "tests/common/data/write_dataset.h"
#include "tests/common/data/write_hdf5.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/feed/small_images.h"

namespace samovar {
namespace {

constexpr char kCos[] = "com.yahoo.ml.caffe.LMDB";

caffe::LayerParameter LayerOf(const std::string& type, const std::string& source = "") {
  caffe::LayerParameter layer;
  layer.set_name("feed");
  layer.set_type(type);
  layer.add_top("data");
  if (type == "Data") {
    layer.mutable_data_param()->set_source(source);
    layer.mutable_data_param()->set_backend(caffe::DataParameter::LMDB);
    layer.mutable_data_param()->set_batch_size(3);
  } else if (type == "ImageData") {
    layer.mutable_image_data_param()->set_source(source);
  } else if (type == "HDF5Data") {
    layer.mutable_hdf5_data_param()->set_source(source);
    layer.mutable_hdf5_data_param()->set_batch_size(5);
  } else if (type == "MemoryData") {
    layer.set_source_class(kCos);
    layer.mutable_memory_data_param()->set_source(source);
    layer.mutable_memory_data_param()->set_batch_size(6);
    layer.mutable_memory_data_param()->set_channels(3);
    layer.mutable_memory_data_param()->set_height(2);
    layer.mutable_memory_data_param()->set_width(2);
  }
  return layer;
}

caffe::NetParameter NetOf(const std::vector<std::string>& types) {
  caffe::NetParameter net;
  for (size_t i = 0; i < types.size(); ++i) {
    *net.add_layer() = LayerOf(types[i]);
    net.mutable_layer(static_cast<int>(i))->set_name(absl::StrCat("l", i));
  }
  return net;
}

TEST_CASE("each type of layer opens its own kind of source") {
  const TempDir directory;
  WriteDataset(directory.File("lmdb"), {3, 2, 2}, 4);
  WriteBytes(directory.File("a.png"), PngOf({3, 2, 2}, 0));
  WriteBytes(directory.File("images.txt"), "a.png 1\na.png 2\n");
  WriteHdf5(directory.File("a.h5"), {{"data", {7, 3, 2, 2}, Counting(84)}});
  WriteBytes(directory.File("files.txt"), "a.h5\n");
  const auto check = [&](const std::string& type, const std::string& source, uint64_t size) {
    INFO(type);
    const caffe::LayerParameter layer = LayerOf(type, directory.File(source));
    const auto path = SourceOf(layer, StorageTable());
    REQUIRE_OK(path);
    REQUIRE(*path == directory.File(source));
    const auto reader = OpenReader(layer, caffe::TRAIN, *path, nullptr, StorageTable());
    REQUIRE_OK(reader);
    REQUIRE((*reader)->size() == size);
    REQUIRE((*reader)->tops() == std::vector<TopShape>{{3, 2, 2}});
    REQUIRE_STATUS(OpenReader(layer, caffe::TRAIN, directory.File("nowhere"), nullptr, StorageTable()),
                   absl::StatusCode::kNotFound, "layer \"feed\": ");
  };
  check("Data", "lmdb", 4);
  check("MemoryData", "lmdb", 4);
  check("ImageData", "images.txt", 2);
  check("HDF5Data", "files.txt", 7);
}

TEST_CASE("a net has any number of data layers, and two of one name are refused") {
  const auto none = FindFedLayers(NetOf({"Input", "DummyData", "ReLU"}));
  REQUIRE_OK(none);
  REQUIRE(none->empty());
  for (const char* const type : {"Data", "ImageData", "HDF5Data", "MemoryData", "CoSData", "WindowData", "Python"}) {
    INFO(type);
    const caffe::NetParameter net = NetOf({"DummyData", type});
    const auto found = FindFedLayers(net);
    REQUIRE_OK(found);
    REQUIRE(*found == std::vector<const caffe::LayerParameter*>{&net.layer(1)});
  }
  // A Python layer that takes something computes.
  caffe::NetParameter net = NetOf({"Data", "Python"});
  REQUIRE(FindFedLayers(net)->size() == 2);
  net.mutable_layer(1)->set_name("l0");
  REQUIRE_STATUS(FindFedLayers(net), absl::StatusCode::kInvalidArgument, "two data layers \"l0\" in one phase");
  net.mutable_layer(1)->add_bottom("data");
  REQUIRE(FindFedLayers(net)->size() == 1);
}

TEST_CASE("a source is a path, with or without a scheme of files, and other places are refused with what to do") {
  using absl::StatusCode;
  const auto source = [](const std::string& text) { return SourceOf(LayerOf("MemoryData", text), StorageTable()); };
  for (const char* const text : {"/a/b", "file:/a/b", "file:///a/b", "file://localhost/a/b"}) {
    INFO(text);
    REQUIRE_OK(source(text));
    REQUIRE(*source(text) == "/a/b");
  }
  REQUIRE(*source("file:a/b") == "a/b");
  REQUIRE(*source("a:b/c:/d") == "a:b/c:/d");
  for (const char* const text :
       {"hdfs:///mnist", "hdfs://host:8020/mnist", "wasb://c@a/mnist", "abfss://c@a/m", "file://host/a"}) {
    INFO(text);
    REQUIRE_STATUS(source(text), StatusCode::kInvalidArgument,
                   std::string("layer \"feed\": memory_data_param.source: ") + text + ": ");
    REQUIRE_STATUS(source(text), StatusCode::kInvalidArgument,
                   "is not offered; give a path of this machine, with or without \"file:\", the same on each machine");
  }
  REQUIRE_STATUS(source(""), StatusCode::kInvalidArgument,
                 "memory_data_param.source is missing; name the directory of an LMDB");
  REQUIRE_STATUS(source("file:"), StatusCode::kInvalidArgument, "names nothing");
  REQUIRE_STATUS(SourceOf(LayerOf("ImageData"), StorageTable()), StatusCode::kInvalidArgument,
                 "image_data_param.source is missing; name a list");
  REQUIRE_STATUS(SourceOf(LayerOf("HDF5Data"), StorageTable()), StatusCode::kInvalidArgument,
                 "hdf5_data_param.source is missing; name a list");
  REQUIRE_STATUS(SourceOf(LayerOf("Data"), StorageTable()), StatusCode::kInvalidArgument,
                 "data_param.source is missing; name the directory");
}

TEST_CASE("layers that are not offered say what to write instead") {
  const auto refused = [](const caffe::LayerParameter& layer, const std::string& text) {
    REQUIRE_STATUS(SourceOf(layer, StorageTable()), absl::StatusCode::kUnimplemented, "layer \"feed\": ");
    REQUIRE_STATUS(SourceOf(layer, StorageTable()), absl::StatusCode::kUnimplemented, text);
    REQUIRE_STATUS(OpenReader(layer, caffe::TRAIN, "x", nullptr, StorageTable()), absl::StatusCode::kUnimplemented,
                   text);
  };
  caffe::LayerParameter level = LayerOf("Data", "x");
  level.mutable_data_param()->clear_backend();
  refused(level,
          "data_param.backend is LEVELDB (Caffe's default), which is not read in training; make an LMDB of it with "
          "`samovar data import leveldb --input ");
  level.mutable_data_param()->set_backend(caffe::DataParameter::LEVELDB);
  refused(level, "data_param.backend is LEVELDB, which is not read in training; make an LMDB");
  caffe::LayerParameter memory = LayerOf("MemoryData", "x");
  memory.set_source_class("com.yahoo.ml.caffe.SeqImageDataSource");
  refused(memory, "source_class com.yahoo.ml.caffe.SeqImageDataSource is not offered; make an LMDB");
  memory.clear_source_class();
  refused(memory, "use type: \"Data\"");
  caffe::LayerParameter cos = LayerOf("CoSData");
  cos.set_source_class("com.yahoo.ml.caffe.DataFrameSource");
  refused(cos, "CoSData (com.yahoo.ml.caffe.DataFrameSource) reads data frames");
  refused(LayerOf("WindowData"), "use type: \"ImageData\"");
  refused(LayerOf("Python"), "use type: \"HDF5Data\"");
}

TEST_CASE("the size of a batch is the layer's, and at least 1") {
  REQUIRE(*FeedBatchSize(LayerOf("Data")) == 3);
  REQUIRE(*FeedBatchSize(LayerOf("ImageData")) == 1);  // Caffe's default
  REQUIRE(*FeedBatchSize(LayerOf("HDF5Data")) == 5);
  REQUIRE(*FeedBatchSize(LayerOf("MemoryData")) == 6);
  caffe::LayerParameter layer = LayerOf("HDF5Data");
  layer.mutable_hdf5_data_param()->clear_batch_size();
  REQUIRE_STATUS(FeedBatchSize(layer), absl::StatusCode::kInvalidArgument,
                 "layer \"feed\": hdf5_data_param.batch_size must be at least 1");
}

TEST_CASE("fields without an effect are warned of") {
  REQUIRE(FeedWarnings(LayerOf("ImageData")).empty());
  caffe::LayerParameter images = LayerOf("ImageData");
  images.mutable_image_data_param()->set_shuffle(true);
  REQUIRE(FeedWarnings(images).empty());
  images.mutable_image_data_param()->set_shuffle(false);
  images.mutable_image_data_param()->set_rand_skip(7);
  const std::vector<std::string> warnings = FeedWarnings(images);
  REQUIRE(warnings.size() == 2);
  REQUIRE(warnings[0].find("layer \"feed\": rand_skip has no effect") == 0);
  REQUIRE(warnings[1].find("layer \"feed\": shuffle: false has no effect") == 0);
  caffe::LayerParameter rows = LayerOf("HDF5Data");
  rows.mutable_hdf5_data_param()->set_shuffle(false);
  REQUIRE(FeedWarnings(rows).size() == 1);
}

}  // namespace
}  // namespace samovar
