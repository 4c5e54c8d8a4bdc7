#include "worker/feed/lmdb_reader.h"

#include "absl/strings/escaping.h"
#include "common/caffe/mean_file.h"
#include "tests/common/data/golden_images.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/feed/read_record.h"
#include "tests/worker/feed/small_images.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{3, 4, 5};

struct Fixture {
  Fixture() {
    layer.set_name("cos");
    layer.set_type("Data");
    layer.add_top("data");
    layer.add_top("label");
  }

  void WriteEncoded(const std::string& key, const std::string& image, int label) {
    caffe::Datum datum;
    datum.set_encoded(true);
    datum.set_data(image);
    datum.set_label(label);
    WriteRecords(path, {{key, datum.SerializeAsString()}});
  }

  absl::StatusOr<std::unique_ptr<RecordReader>> TryOpen() {
    return OpenLmdbReader(layer, caffe::TEST, path, nullptr, StorageTable());
  }
  std::unique_ptr<RecordReader> Open() {
    auto reader = TryOpen();
    REQUIRE_OK(reader);
    return *std::move(reader);
  }

  TempDir directory;
  std::string path = directory.File("set");
  caffe::LayerParameter layer;
};

std::vector<float> FromHexadecimal(const std::string& hexadecimal) {
  std::vector<float> values;
  for (const char c : absl::HexStringToBytes(hexadecimal))
    values.push_back(static_cast<float>(static_cast<unsigned char>(c)));
  return values;
}

TEST_CASE_METHOD(Fixture, "a record is its values and its label") {
  WriteDataset(path, kShape, 12);
  layer.mutable_transform_param()->set_scale(2);
  const auto reader = Open();
  REQUIRE(reader->size() == 12);
  REQUIRE(reader->source() == path);
  REQUIRE(reader->tops() == std::vector<TopShape>{{3, 4, 5}, {}});
  const Values record = Record(*reader).Read(reader.get(), 11);
  REQUIRE(record[0][7] == 36);
  REQUIRE(record[1] == std::vector<float>{1});
  layer.add_top("more");
  REQUIRE_STATUS(TryOpen(), absl::StatusCode::kInvalidArgument, "has 3 tops");
}

TEST_CASE_METHOD(Fixture,
                 "records of several sizes are cropped to one, and one that is too small is named by its key") {
  WriteRecords(path, {{"a", MakeDatum({1, 4, 5}, 0, 0).SerializeAsString()},
                      {"b", MakeDatum({1, 6, 4}, 1, 1).SerializeAsString()},
                      {"c", MakeDatum({1, 3, 9}, 2, 2).SerializeAsString()}});
  {
    const auto uncropped = Open();
    std::vector<float> data(20), label(1);
    const std::vector<float*> tops = {data.data(), label.data()};
    REQUIRE_STATUS(uncropped->Read(1, {}, tops), absl::StatusCode::kInvalidArgument,
                   path + ", key \"b\": a record has shape 1x6x4");
    REQUIRE_STATUS(uncropped->Read(1, {}, tops), absl::StatusCode::kInvalidArgument,
                   "set crop_size in transform_param");
  }
  layer.mutable_transform_param()->set_crop_size(4);
  const auto reader = Open();
  REQUIRE(reader->tops()[0] == TopShape{1, 4, 4});
  std::vector<float> data(16), label(1);
  const std::vector<float*> tops = {data.data(), label.data()};
  REQUIRE_OK(reader->Read(1, {}, tops));
  CHECK(label[0] == static_cast<float>(MakeDatum({1, 6, 4}, 1, 1).label()));
  // Its rows 1 to 4.
  const std::string pixels = MakeDatum({1, 6, 4}, 1, 1).data().substr(4, 16);
  for (size_t i = 0; i < 16; ++i) CHECK(data[i] == static_cast<float>(static_cast<unsigned char>(pixels[i])));
  REQUIRE_STATUS(reader->Read(2, {}, tops), absl::StatusCode::kInvalidArgument,
                 path + ", key \"c\": a record has shape 1x3x9, which is smaller");
}

TEST_CASE_METHOD(Fixture, "encoded records are decoded to the channels they have, or those that the layer forces") {
  const std::string jpeg = absl::HexStringToBytes(kJpeg.file);
  WriteEncoded("a", jpeg, 4);
  REQUIRE(Record(*Open()).Read(Open().get(), 0) == Values{FromHexadecimal(kJpeg.stored), {4}});
  SECTION("force_gray") {
    layer.mutable_transform_param()->set_force_gray(true);
    const auto reader = Open();
    REQUIRE(reader->tops()[0] == TopShape{1, 4, 5});
    REQUIRE(Record(*reader).Read(reader.get(), 0)[0] == FromHexadecimal(kJpeg.gray));
    layer.mutable_transform_param()->set_force_color(true);
    REQUIRE_STATUS(TryOpen(), absl::StatusCode::kInvalidArgument, "force_color and force_gray exclude each other");
  }
  SECTION("force_color, and its old name") {
    WriteEncoded("a", absl::HexStringToBytes(kGrayJpeg.file), 4);
    REQUIRE(Open()->tops()[0] == TopShape{1, 4, 5});
    WriteEncoded("b", jpeg, 5);
    {
      const auto mixed = Open();
      REQUIRE_STATUS(Record(*mixed).TryRead(mixed.get(), 1), absl::StatusCode::kInvalidArgument,
                     "key \"b\": has 3 channels, but the first record has 1; set force_color or force_gray");
    }
    for (const bool old : {false, true}) {
      layer.mutable_transform_param()->set_force_color(!old);
      layer.mutable_data_param()->set_force_encoded_color(old);
      const auto reader = Open();
      REQUIRE(reader->tops()[0] == TopShape{3, 4, 5});
      REQUIRE(Record(*reader).Read(reader.get(), 0)[0] == FromHexadecimal(kGrayJpeg.colour));
      REQUIRE(Record(*reader).Read(reader.get(), 1)[0] == FromHexadecimal(kJpeg.colour));
    }
  }
}

TEST_CASE_METHOD(Fixture, "forced channels mean nothing to records that are not encoded") {
  WriteDataset(path, {1, 4, 5}, 2);
  layer.mutable_transform_param()->set_force_color(true);
  REQUIRE(Open()->tops()[0] == TopShape{1, 4, 5});
}

TEST_CASE_METHOD(Fixture, "a mean file is subtracted from encoded records, too, at the crop's place") {
  WriteEncoded("a", PngOf(kShape, 100), 1);
  caffe::BlobProto mean;
  mean.set_num(1);
  mean.set_channels(3);
  mean.set_height(4);
  mean.set_width(5);
  for (int i = 0; i < 60; ++i) mean.add_data(static_cast<float>(i % 7));
  REQUIRE_OK(WriteMeanFile(directory.File("mean.binaryproto"), mean, StorageTable()));
  layer.mutable_transform_param()->set_mean_file(directory.File("mean.binaryproto"));
  layer.mutable_transform_param()->set_crop_size(2);
  const auto reader = Open();
  std::vector<float> expected;
  for (const int c : {0, 1, 2}) {
    for (const int at : {6, 7, 11, 12}) expected.push_back(static_cast<float>(100 + 20 * c + at - (20 * c + at) % 7));
  }
  REQUIRE(Record(*reader).Read(reader.get(), 0)[0] == expected);
}

TEST_CASE_METHOD(Fixture, "what is wrong with a record is named with its key") {
  WriteEncoded("a", PngOf(kShape, 0), 1);
  SECTION("a truncated PNG") {
    WriteEncoded("b", PngOf(kShape, 0).substr(0, 50), 1);
    const auto reader = Open();
    REQUIRE_STATUS(Record(*reader).TryRead(reader.get(), 1), absl::StatusCode::kDataLoss,
                   path + ", key \"b\": the PNG is damaged");
  }
  SECTION("not encoded as the first is") {
    WriteRecords(path, {{"b", MakeDatum(kShape, 0, 0).SerializeAsString()}});
    const auto reader = Open();
    REQUIRE_STATUS(Record(*reader).TryRead(reader.get(), 1), absl::StatusCode::kDataLoss, "key \"b\": is not encoded");
  }
  SECTION("another size, without a crop") {
    WriteEncoded("b", PngOf({3, 5, 4}, 0), 1);
    const auto reader = Open();
    REQUIRE_STATUS(Record(*reader).TryRead(reader.get(), 1), absl::StatusCode::kInvalidArgument,
                   path + ", key \"b\": a record has shape 3x5x4; expected 3x4x5, the first record's; resize them");
  }
}

TEST_CASE_METHOD(Fixture, "CaffeOnSpark's MemoryData says the records' shape, and must be right") {
  WriteDataset(path, kShape, 2);
  layer.set_type("MemoryData");
  caffe::MemoryDataParameter* param = layer.mutable_memory_data_param();
  param->set_channels(3);
  param->set_height(4);
  param->set_width(5);
  Open();
  param->set_width(4);
  REQUIRE_STATUS(TryOpen(), absl::StatusCode::kInvalidArgument,
                 "memory_data_param says 3x4x4 (channels x height x width), but the records are 3x4x5; write channels: "
                 "3 height: 4 "
                 "width: 5");
  // Of the crop, as some nets say.
  layer.mutable_transform_param()->set_crop_size(4);
  Open();
}

}  // namespace
}  // namespace samovar
