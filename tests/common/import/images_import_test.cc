#include "common/import/images_import.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "common/data/dataset.h"
#include "common/data/image_decoder.h"
#include "common/import/image_encoder.h"
#include "tests/common/data/golden_images.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// A list of three images of 4 x 5 pixels in a directory of their own: a JPEG and a PNG of colours, and a gray JPEG.
struct Fixture {
  Fixture() {
    std::filesystem::create_directories(root + "/cats");
    WriteBytes(root + "/cats/a b.jpg", jpeg);
    WriteBytes(root + "/c.png", png);
    WriteBytes(root + "/gray.jpg", gray_jpeg);
    images.list = directory.File("list.txt");
    images.root = root;
    WriteBytes(images.list, "cats/a b.jpg 1\nc.png 0\n\ngray.jpg 7\n");
  }

  absl::StatusOr<ImportSummary> Import(bool force = false) {
    ImportOptions options;
    options.force = force;
    return ImportImages(images, target, options);
  }

  // All keys and records.
  std::vector<std::pair<std::string, caffe::Datum>> Records() {
    std::vector<std::pair<std::string, caffe::Datum>> records;
    auto environment = LmdbEnvironment::Open(target, {});
    REQUIRE_OK(environment);
    auto transaction = (*environment)->BeginRead();
    REQUIRE_OK(transaction);
    auto cursor = transaction->OpenCursor();
    REQUIRE_OK(cursor);
    for (bool found = *cursor->SeekAtLeast(""); found; found = *cursor->Next()) {
      records.emplace_back(std::string(cursor->key()), caffe::Datum());
      REQUIRE(records.back().second.ParseFromString(std::string(cursor->value())));
    }
    return records;
  }

  void RequireRefused(absl::StatusCode code, const std::string& text) {
    REQUIRE_STATUS(Import(), code, text);
    REQUIRE_FALSE(std::filesystem::exists(target));
    // The list and the images: nothing is left beside the target.
    const std::filesystem::directory_iterator files(directory.path());
    REQUIRE(std::distance(begin(files), end(files)) == 2);
  }

  TempDir directory;
  std::string jpeg = absl::HexStringToBytes(kJpeg.file);
  std::string png = absl::HexStringToBytes(kPng.file);
  std::string gray_jpeg = absl::HexStringToBytes(kGrayJpeg.file);
  std::string root = directory.File("images");
  std::string target = directory.File("lmdb");
  ImportImagesOptions images;
};

void RequireImage(const caffe::Datum& datum, const RecordShape& shape, int label, const std::string& hexadecimal) {
  REQUIRE_FALSE(datum.encoded());
  REQUIRE(RecordShape{datum.channels(), datum.height(), datum.width()} == shape);
  REQUIRE(datum.label() == label);
  REQUIRE(absl::BytesToHexString(datum.data()) == hexadecimal);
}

TEST_CASE_METHOD(Fixture,
                 "keys are the line's number in eight digits and the name, values the pixels of three planes") {
  const auto summary = Import();
  REQUIRE_OK(summary);
  REQUIRE(summary->records == 3);
  REQUIRE(summary->shape == RecordShape{3, 4, 5});
  REQUIRE(summary->same_shape);
  REQUIRE(summary->min_label == 0);
  REQUIRE(summary->max_label == 7);
  const auto records = Records();
  REQUIRE(records.size() == 3);
  REQUIRE(records[0].first == "00000000_cats/a b.jpg");
  REQUIRE(records[1].first == "00000001_c.png");
  REQUIRE(records[2].first == "00000002_gray.jpg");
  RequireImage(records[0].second, {3, 4, 5}, 1, kJpeg.colour);
  RequireImage(records[1].second, {3, 4, 5}, 0, kPng.colour);
  RequireImage(records[2].second, {3, 4, 5}, 7, kGrayJpeg.colour);
}

TEST_CASE_METHOD(Fixture, "gray is one plane") {
  images.gray = true;
  REQUIRE_OK(Import());
  const auto records = Records();
  RequireImage(records[0].second, {1, 4, 5}, 1, kJpeg.gray);
  RequireImage(records[1].second, {1, 4, 5}, 0, kPng.gray);
  RequireImage(records[2].second, {1, 4, 5}, 7, kGrayJpeg.gray);
}

TEST_CASE_METHOD(Fixture, "images are resized to height x width") {
  images.height = 7;
  images.width = 3;
  REQUIRE_OK(Import());
  RequireImage(Records()[1].second, {3, 7, 3}, 0, kPngAs7x3);
}

TEST_CASE_METHOD(Fixture, "encoded images are the files themselves, but for those that have other channels") {
  images.encoded = true;
  const auto summary = Import();
  REQUIRE_OK(summary);
  REQUIRE(summary->shape == RecordShape{3, 4, 5});
  const auto records = Records();
  for (const auto& [key, datum] : records) {
    REQUIRE(datum.encoded());
    REQUIRE(RecordShape{datum.channels(), datum.height(), datum.width()} == RecordShape{3, 4, 5});
  }
  REQUIRE(records[0].second.data() == jpeg);
  REQUIRE(records[1].second.data() == png);
  REQUIRE(records[2].second.data() != gray_jpeg);
  REQUIRE(ImageFormatOf(records[2].second.data()) == ImageFormat::kJpeg);
  REQUIRE(records[2].second.label() == 7);
  // A reader that takes them as they are has three planes of each.
  auto dataset = Dataset::Open(target, StorageTable());
  REQUIRE_OK(dataset);
  caffe::Datum datum;
  for (uint64_t i = 0; i < 3; ++i) {
    REQUIRE_OK((*dataset)->Read(i, &datum));
    REQUIRE(datum.channels() == 3);
  }
}

TEST_CASE_METHOD(Fixture, "encoded gray images are gray files") {
  images.encoded = true;
  images.gray = true;
  REQUIRE_OK(Import());
  const auto records = Records();
  REQUIRE(records[2].second.data() == gray_jpeg);
  Image image;
  REQUIRE_OK(DecodeImage(records[1].second.data(), ImageChannels::kAsStored, &image));
  REQUIRE(ImageFormatOf(records[1].second.data()) == ImageFormat::kPng);
  REQUIRE(image.shape == RecordShape{1, 4, 5});
  REQUIRE(absl::BytesToHexString(image.data) == kPng.gray);
}

TEST_CASE_METHOD(Fixture, "encoded images that are resized are encoded anew, of different sizes they may be") {
  images.encoded = true;
  WriteBytes(root + "/c.png", *EncodeImage({{3, 2, 9}, std::string(54, 'x')}, ImageFormat::kPng));
  const auto as_they_are = Import();
  REQUIRE_OK(as_they_are);
  REQUIRE_FALSE(as_they_are->same_shape);
  REQUIRE(Records()[1].second.width() == 9);
  WriteBytes(root + "/c.png", png);
  images.height = 7;
  images.width = 3;
  REQUIRE_OK(Import(/*force=*/true));
  const auto records = Records();
  Image image;
  REQUIRE_OK(DecodeImage(records[1].second.data(), ImageChannels::kAsStored, &image));
  REQUIRE(image.shape == RecordShape{3, 7, 3});
  REQUIRE(absl::BytesToHexString(image.data) == kPngAs7x3);
  REQUIRE(records[1].second.height() == 7);
}

TEST_CASE_METHOD(Fixture, "shuffled lines keep their labels, and their order follows from the seed") {
  std::string list;
  for (int i = 0; i < 60; ++i) {
    const std::string name = std::to_string(i) + ".png";
    WriteBytes(root + "/" + name, png);
    list += name + " " + std::to_string(i) + "\n";
  }
  WriteBytes(images.list, list);
  images.shuffle = true;
  const auto order = [&](uint64_t seed) {
    images.seed = seed;
    REQUIRE_OK(Import(/*force=*/true));
    std::vector<int> labels;
    for (const auto& [key, datum] : Records()) {
      REQUIRE(key.substr(0, 9) == RecordKey(labels.size()) + "_");
      REQUIRE(key.substr(9) == std::to_string(datum.label()) + ".png");
      labels.push_back(datum.label());
    }
    return labels;
  };
  const std::vector<int> first = order(1);
  REQUIRE(first == order(1));
  REQUIRE(first != order(2));
  REQUIRE_FALSE(std::is_sorted(first.begin(), first.end()));
  std::vector<int> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < 60; ++i) REQUIRE(sorted[static_cast<size_t>(i)] == i);
}

TEST_CASE_METHOD(Fixture, "an LMDB that is there is replaced by force only") {
  REQUIRE_OK(Import());
  REQUIRE_STATUS(Import(), absl::StatusCode::kAlreadyExists, target + ": exists already; --force replaces it");
  WriteBytes(images.list, "c.png 4\n");
  REQUIRE_OK(Import(/*force=*/true));
  REQUIRE(Records().size() == 1);
}

TEST_CASE_METHOD(Fixture, "what is wrong is named with the list's line and the image, and nothing is left") {
  using absl::StatusCode;
  const std::string third = images.list + ":4: ";
  const std::string file = root + "/gray.jpg";
  SECTION("missing list") {
    images.list = directory.File("nowhere.txt");
    RequireRefused(StatusCode::kNotFound, images.list);
  }
  SECTION("missing image") {
    std::filesystem::remove(file);
    RequireRefused(StatusCode::kNotFound, third + "cannot read " + file +
                                              ": No such file or directory; names in the list are "
                                              "taken from --root");
  }
  SECTION("no label") {
    WriteBytes(images.list, "c.png 0\ngray.jpg\n");
    RequireRefused(StatusCode::kInvalidArgument, images.list + ":2: the line is not");
  }
  SECTION("truncated JPEG") {
    WriteBytes(file, jpeg.substr(0, jpeg.size() / 2));
    RequireRefused(StatusCode::kDataLoss, third + file + ": the JPEG is damaged");
  }
  SECTION("truncated PNG, kept encoded") {
    images.encoded = true;
    WriteBytes(file, png.substr(0, png.size() - 20));
    RequireRefused(StatusCode::kDataLoss, third + file + ": the PNG is damaged");
  }
  SECTION("empty image") {
    WriteBytes(file, "");
    RequireRefused(StatusCode::kDataLoss, third + file + ": the image is empty");
  }
  SECTION("another format") {
    WriteBytes(file, "GIF89a");
    RequireRefused(StatusCode::kInvalidArgument, third + file + ": the image is neither JPEG nor PNG; convert it");
  }
  SECTION("another size") {
    WriteBytes(file, *EncodeImage({{3, 2, 9}, std::string(54, 'x')}, ImageFormat::kPng));
    RequireRefused(StatusCode::kInvalidArgument, third + file +
                                                     ": is 3x2x9 (channels x height x width), but the first image is "
                                                     "3x4x5; resize all with --resize");
  }
  SECTION("a size that cannot be") {
    images.height = images.width = 1 << 20;
    RequireRefused(StatusCode::kInvalidArgument, "resized to 1048576x1048576");
    images.height = 0;
    RequireRefused(StatusCode::kInvalidArgument, "resized to 0x");
  }
  SECTION("a name too long for a key") {
    const std::string name = std::string(200, 'a') + "/" + std::string(200, 'b') + "/" + std::string(200, 'c') + ".png";
    std::filesystem::create_directories(std::filesystem::path(root + "/" + name).parent_path());
    WriteBytes(root + "/" + name, png);
    WriteBytes(images.list, name + " 1\n");
    RequireRefused(StatusCode::kInvalidArgument, "key \"00000000_aaa");
  }
}

}  // namespace
}  // namespace samovar
