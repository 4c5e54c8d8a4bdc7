#include "worker/feed/image_reader.h"

#include <filesystem>

#include "absl/strings/escaping.h"
#include "common/data/image_resize.h"
#include "tests/common/data/golden_images.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/feed/read_record.h"
#include "tests/worker/feed/small_images.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{3, 4, 6};

// A list of three images beside it, with labels 5, 0 and 1.
struct Fixture {
  Fixture() {
    layer.set_name("images");
    layer.set_type("ImageData");
    layer.add_top("data");
    layer.add_top("label");
    for (int i = 0; i < 3; ++i) WriteBytes(directory.File("i " + std::to_string(i) + ".png"), PngOf(kShape, 50 * i));
    WriteBytes(list, "i 0.png 5\ni 1.png 0\n\ni 2.png 1\n");
  }

  absl::StatusOr<std::unique_ptr<RecordReader>> TryOpen(caffe::Phase phase = caffe::TRAIN) {
    return OpenImageReader(layer, phase, list, StorageTable());
  }
  std::unique_ptr<RecordReader> Open(caffe::Phase phase = caffe::TRAIN) {
    auto reader = TryOpen(phase);
    REQUIRE_OK(reader);
    return *std::move(reader);
  }

  TempDir directory;
  std::string list = directory.File("list.txt");
  caffe::LayerParameter layer;
};

std::vector<float> FromHexadecimal(const std::string& hexadecimal) {
  std::vector<float> values;
  for (const char c : absl::HexStringToBytes(hexadecimal))
    values.push_back(static_cast<float>(static_cast<unsigned char>(c)));
  return values;
}

TEST_CASE_METHOD(Fixture, "records are the list's images, blue, green and red plane by plane, with their labels") {
  const auto reader = Open();
  REQUIRE(reader->source() == list);
  REQUIRE(reader->size() == 3);
  REQUIRE(reader->tops() == std::vector<TopShape>{{3, 4, 6}, {}});
  Record record(*reader);
  REQUIRE(record.Read(reader.get(), 2) == Values{CountingBytes(72, 100), {1}});
  REQUIRE(record.Read(reader.get(), 0) == Values{CountingBytes(72, 0), {5}});
  REQUIRE(record.Read(reader.get(), 1) == Values{CountingBytes(72, 50), {0}});
}

TEST_CASE_METHOD(Fixture, "an image that was replaced makes the records others") {
  const auto expected = Open()->Digest(3);
  REQUIRE_OK(expected);
  CHECK(*Open()->Digest(3) == *expected);
  WriteBytes(directory.File("i 1.png"), PngOf(kShape, 51));
  CHECK(*Open()->Digest(3) != *expected);
  std::filesystem::remove(directory.File("i 2.png"));
  REQUIRE_STATUS(Open()->Digest(3), absl::StatusCode::kNotFound, list + ":4: ");
}

TEST_CASE_METHOD(Fixture, "labels are left out where the layer has one top") {
  layer.mutable_top()->RemoveLast();
  const auto reader = Open();
  REQUIRE(reader->tops() == std::vector<TopShape>{{3, 4, 6}});
  REQUIRE(Record(*reader).Read(reader.get(), 1) == Values{CountingBytes(72, 50)});
  layer.clear_top();
  REQUIRE_STATUS(TryOpen(), absl::StatusCode::kInvalidArgument, "has 0 tops");
}

TEST_CASE_METHOD(Fixture, "is_color: false makes one plane") {
  layer.mutable_image_data_param()->set_is_color(false);
  WriteBytes(directory.File("i 1.png"), absl::HexStringToBytes(kJpeg.file));
  WriteBytes(list, "i 1.png 3\n");
  const auto reader = Open();
  REQUIRE(reader->tops()[0] == TopShape{1, 4, 5});
  REQUIRE(Record(*reader).Read(reader.get(), 0) == Values{FromHexadecimal(kJpeg.gray), {3}});
}

TEST_CASE_METHOD(Fixture, "new_height and new_width resize every image, before the transform") {
  layer.mutable_image_data_param()->set_new_height(7);
  layer.mutable_image_data_param()->set_new_width(3);
  WriteBytes(directory.File("i 1.png"), absl::HexStringToBytes(kPng.file));
  SECTION("alone") {
    const auto reader = Open();
    REQUIRE(reader->tops()[0] == TopShape{3, 7, 3});
    REQUIRE(Record(*reader).Read(reader.get(), 1)[0] == FromHexadecimal(kPngAs7x3));
  }
  SECTION("then cropped in the centre and scaled") {
    layer.mutable_transform_param()->set_crop_size(1);
    layer.mutable_transform_param()->set_scale(0.5f);
    const auto reader = Open(caffe::TEST);
    REQUIRE(reader->tops()[0] == TopShape{3, 1, 1});
    const std::vector<float> resized = FromHexadecimal(kPngAs7x3);
    const auto centre = [&](size_t c) { return 0.5f * resized[21 * c + 3 * 3 + 1]; };
    REQUIRE(Record(*reader).Read(reader.get(), 1)[0] == std::vector<float>{centre(0), centre(1), centre(2)});
  }
}

TEST_CASE_METHOD(Fixture, "names are taken from root_folder") {
  std::filesystem::create_directory(directory.File("root"));
  WriteBytes(directory.File("root/x.png"), PngOf(kShape, 7));
  WriteBytes(list, "x.png 2\n");
  for (const char* const slash : {"", "/"}) {
    layer.mutable_image_data_param()->set_root_folder(directory.File("root") + slash);
    const auto reader = Open();
    REQUIRE(Record(*reader).Read(reader.get(), 0)[0] == CountingBytes(72, 7));
  }
}

TEST_CASE_METHOD(Fixture, "images of different sizes are taken if a crop makes them alike") {
  WriteBytes(directory.File("i 1.png"), PngOf({3, 9, 3}, 0));
  {
    const auto reader = Open();
    Record record(*reader);
    REQUIRE_STATUS(record.TryRead(reader.get(), 1), absl::StatusCode::kInvalidArgument,
                   list + ":2: i 1.png: a record has shape 3x9x3; expected 3x4x6");
  }
  layer.mutable_transform_param()->set_crop_size(3);
  const auto reader = Open(caffe::TEST);
  Record record(*reader);
  const std::vector<float> values = record.Read(reader.get(), 1)[0];
  REQUIRE(values[0] == 3 * 3);       // the fourth row of nine
  REQUIRE(values[9] == 27 + 3 * 3);  // of the second plane
  WriteBytes(directory.File("i 2.png"), PngOf({3, 2, 9}, 0));
  REQUIRE_STATUS(record.TryRead(reader.get(), 2), absl::StatusCode::kInvalidArgument, "smaller than crop_size, 3");
}

TEST_CASE_METHOD(Fixture, "crops and mirrors follow from the draw") {
  layer.mutable_transform_param()->set_crop_size(2);
  layer.mutable_transform_param()->set_mirror(true);
  const auto reader = Open();
  Record record(*reader);
  const auto first = record.Read(reader.get(), 0, {1, 2, 3})[0];
  int others = 0;
  for (uint64_t sample = 4; sample < 20; ++sample) others += record.Read(reader.get(), 0, {1, 2, sample})[0] != first;
  REQUIRE(others > 8);
  REQUIRE(record.Read(reader.get(), 0, {1, 2, 3})[0] == first);
}

TEST_CASE_METHOD(Fixture, "what is wrong with an image is named with it and its line in the list") {
  using absl::StatusCode;
  const std::string last = directory.File("i 2.png");
  const auto reader = Open();
  Record record(*reader);
  SECTION("missing") {
    std::filesystem::remove(last);
    REQUIRE_STATUS(record.TryRead(reader.get(), 2), StatusCode::kNotFound,
                   list + ":4: cannot read i 2.png: No such file");
    REQUIRE_STATUS(record.TryRead(reader.get(), 2), StatusCode::kNotFound, "root_folder");
  }
  SECTION("truncated") {
    const std::string whole = ReadBytes(last);
    WriteBytes(last, whole.substr(0, whole.size() / 2));
    REQUIRE_STATUS(record.TryRead(reader.get(), 2), StatusCode::kDataLoss,
                   list + ":4: " + last + ": the PNG is damaged");
  }
  SECTION("a truncated JPEG") {
    WriteBytes(last, absl::HexStringToBytes(kJpeg.file).substr(0, 300));
    REQUIRE_STATUS(record.TryRead(reader.get(), 2), StatusCode::kDataLoss,
                   list + ":4: " + last + ": the JPEG is damaged");
  }
  SECTION("text") {
    WriteBytes(last, "text");
    REQUIRE_STATUS(record.TryRead(reader.get(), 2), StatusCode::kInvalidArgument, "neither JPEG nor PNG");
  }
  record.Read(reader.get(), 1);
}

TEST_CASE_METHOD(
    Fixture,
    "all files of the list are looked at, and the first that cannot be read is named with how many there are") {
  const auto reader = Open();
  const auto looked = reader->LookAtFiles(absl::InfiniteFuture());
  REQUIRE_OK(looked);
  REQUIRE(looked->at == 3);
  REQUIRE(looked->of == 3);
  std::filesystem::remove(directory.File("i 1.png"));
  REQUIRE_STATUS(reader->LookAtFiles(absl::InfiniteFuture()), absl::StatusCode::kNotFound,
                 list + ":2: cannot read i 1.png: No such file");
  WriteBytes(directory.File("i 2.png"), "");
  REQUIRE_STATUS(reader->LookAtFiles(absl::InfiniteFuture()), absl::StatusCode::kNotFound,
                 "2 of the 3 files that were looked at cannot be read");
  WriteBytes(directory.File("i 1.png"), PngOf(kShape, 50));
  REQUIRE_STATUS(reader->LookAtFiles(absl::InfiniteFuture()), absl::StatusCode::kDataLoss, list + ":4: ");
}

TEST_CASE_METHOD(Fixture, "no file is looked at after the deadline, and how many were is told") {
  const auto reader = Open();
  const auto looked = reader->LookAtFiles(absl::InfinitePast());
  REQUIRE_OK(looked);
  REQUIRE(looked->at == 0);
  REQUIRE(looked->of == 3);
}

TEST_CASE_METHOD(Fixture, "parameters that cannot be, and a first image that cannot be read, are refused") {
  using absl::StatusCode;
  SECTION("half a size") {
    layer.mutable_image_data_param()->set_new_height(7);
    REQUIRE_STATUS(TryOpen(), StatusCode::kInvalidArgument, "new_height and new_width belong together");
  }
  SECTION("a size beyond all bounds") {
    layer.mutable_image_data_param()->set_new_height(4'000'000'000);
    layer.mutable_image_data_param()->set_new_width(4'000'000'000);
    REQUIRE_STATUS(TryOpen(), StatusCode::kInvalidArgument, "4000000000x4000000000");
  }
  SECTION("a crop larger than the image") {
    layer.mutable_transform_param()->set_crop_size(5);
    REQUIRE_STATUS(TryOpen(), StatusCode::kInvalidArgument, "crop_size is 5");
  }
  SECTION("no image") {
    WriteBytes(list, "nowhere.png 1\n");
    REQUIRE_STATUS(TryOpen(), StatusCode::kNotFound, list + ":1: cannot read nowhere.png");
  }
}

}  // namespace
}  // namespace samovar
