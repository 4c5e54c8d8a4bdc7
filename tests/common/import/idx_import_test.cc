#include "common/import/idx_import.h"

#include <zlib.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/data/dataset.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::string BigEndian(std::initializer_list<uint32_t> numbers) {
  std::string bytes;
  for (const uint32_t number : numbers) {
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(number >> shift));
  }
  return bytes;
}

// Pixel j of image i is (i + j) mod 256.
std::string ImagesFile(uint32_t count, uint32_t rows, uint32_t columns) {
  std::string bytes = BigEndian({2051, count, rows, columns});
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = 0; j < rows * columns; ++j) bytes.push_back(static_cast<char>(i + j));
  }
  return bytes;
}

// Label i is i mod 10.
std::string LabelsFile(uint32_t count) {
  std::string bytes = BigEndian({2049, count});
  for (uint32_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i % 10));
  return bytes;
}

void WriteCompressed(const std::string& file, const std::string& bytes) {
  const gzFile stream = gzopen(file.c_str(), "wb");
  REQUIRE(gzwrite(stream, bytes.data(), static_cast<unsigned>(bytes.size())) == static_cast<int>(bytes.size()));
  REQUIRE(gzclose(stream) == Z_OK);
}

struct Fixture {
  Fixture() {
    WriteBytes(images, ImagesFile(25, 4, 5));
    WriteBytes(labels, LabelsFile(25));
  }

  absl::StatusOr<ImportSummary> Import(bool force = false) {
    ImportOptions options;
    options.force = force;
    return ImportIdx(images, labels, target, options);
  }

  // The import fails and leaves nothing, neither at the target nor beside it.
  void RequireRefused(absl::StatusCode code, const std::string& text) {
    REQUIRE_STATUS(Import(), code, text);
    REQUIRE_FALSE(std::filesystem::exists(target));
    const std::filesystem::directory_iterator files(directory.path());
    REQUIRE(std::distance(begin(files), end(files)) == 2);
  }

  uint64_t Size() {
    auto dataset = Dataset::Open(target, StorageTable());
    REQUIRE_OK(dataset);
    return (*dataset)->size();
  }

  TempDir directory;
  std::string images = directory.File("images");
  std::string labels = directory.File("labels");
  std::string target = directory.File("lmdb");
};

TEST_CASE_METHOD(Fixture, "an import has a record for each image, in order, with its label") {
  const auto summary = Import();
  REQUIRE_OK(summary);
  REQUIRE(summary->records == 25);
  REQUIRE(summary->shape == RecordShape{1, 4, 5});
  REQUIRE(summary->same_shape);
  REQUIRE(summary->min_label == 0);
  REQUIRE(summary->max_label == 9);
  REQUIRE(summary->file_bytes == std::filesystem::file_size(target + "/data.mdb"));
  auto dataset = Dataset::Open(target, StorageTable());
  REQUIRE_OK(dataset);
  REQUIRE((*dataset)->size() == 25);
  REQUIRE((*dataset)->shape() == RecordShape{1, 4, 5});
  caffe::Datum datum;
  for (int i = 0; i < 25; ++i) {
    REQUIRE_OK((*dataset)->Read(static_cast<uint64_t>(i), &datum));
    REQUIRE(datum.SerializeAsString() == MakeDatum({1, 4, 5}, i % 10, i).SerializeAsString());
  }
}

TEST_CASE_METHOD(Fixture, "keys are the numbers of the images in eight digits, as Caffe writes them") {
  REQUIRE_OK(Import());
  auto environment = LmdbEnvironment::Open(target, {});
  REQUIRE_OK(environment);
  auto transaction = (*environment)->BeginRead();
  REQUIRE_OK(transaction);
  REQUIRE(transaction->Get("00000000")->has_value());
  REQUIRE(transaction->Get("00000024")->has_value());
  REQUIRE(*transaction->Count() == 25);
}

TEST_CASE_METHOD(Fixture, "files compressed with gzip give the same import") {
  REQUIRE_OK(Import());
  const std::string plain = ReadBytes(target + "/data.mdb");
  WriteCompressed(images, ImagesFile(25, 4, 5));
  WriteCompressed(labels, LabelsFile(25));
  target = directory.File("other");
  REQUIRE_OK(Import());
  REQUIRE(ReadBytes(target + "/data.mdb") == plain);
}

TEST_CASE_METHOD(Fixture, "progress is told up to the last record") {
  WriteBytes(images, ImagesFile(2'500, 1, 1));
  WriteBytes(labels, LabelsFile(2'500));
  std::vector<uint64_t> told;
  ImportOptions options;
  options.progress = [&](uint64_t done, uint64_t total) {
    REQUIRE(total == 2'500);
    told.push_back(done);
  };
  REQUIRE_OK(ImportIdx(images, labels, target, options));
  REQUIRE(told == std::vector<uint64_t>{1'000, 2'000, 2'500});
  REQUIRE(Size() == 2'500);
}

TEST_CASE_METHOD(Fixture, "directories above the target are made") {
  target = directory.File("a/b/lmdb/");
  REQUIRE_OK(Import());
  REQUIRE(Size() == 25);
}

TEST_CASE_METHOD(Fixture, "an existing LMDB is replaced only by force, as a whole") {
  REQUIRE_OK(Import());
  REQUIRE_STATUS(Import(), absl::StatusCode::kAlreadyExists, target + ": exists already; --force replaces it");
  WriteBytes(images, ImagesFile(3, 4, 5));
  REQUIRE_STATUS(Import(/*force=*/true), absl::StatusCode::kInvalidArgument, "3 images");
  REQUIRE(Size() == 25);
  WriteBytes(labels, LabelsFile(3));
  REQUIRE_OK(Import(/*force=*/true));
  REQUIRE(Size() == 3);
  const std::filesystem::directory_iterator files(directory.path());
  REQUIRE(std::distance(begin(files), end(files)) == 3);
}

TEST_CASE_METHOD(Fixture, "what is not an LMDB is not replaced, not even by force") {
  SECTION("a directory with other files") {
    std::filesystem::create_directory(target);
    WriteBytes(target + "/thesis.tex", "x");
  }
  SECTION("a file") { WriteBytes(target, "x"); }
  REQUIRE_STATUS(Import(/*force=*/true), absl::StatusCode::kAlreadyExists, "is not an LMDB");
  REQUIRE(std::filesystem::exists(target));
}

TEST_CASE_METHOD(Fixture, "an empty directory may be the target") {
  std::filesystem::create_directory(target);
  REQUIRE_OK(Import());
  REQUIRE(Size() == 25);
}

TEST_CASE_METHOD(Fixture, "files that are not IDX files of their kind are refused by name") {
  using absl::StatusCode;
  SECTION("missing images") {
    images = directory.File("nowhere");
    RequireRefused(StatusCode::kNotFound, images + ": no such file");
  }
  SECTION("missing labels") {
    labels = directory.File("nowhere");
    RequireRefused(StatusCode::kNotFound, labels + ": no such file");
  }
  SECTION("a directory") {
    images = directory.path();
    RequireRefused(StatusCode::kInvalidArgument, "is a directory");
  }
  SECTION("exchanged") {
    std::swap(images, labels);
    RequireRefused(StatusCode::kInvalidArgument, "are the two files exchanged?");
  }
  SECTION("text") {
    WriteBytes(images, "these are no images");
    RequireRefused(StatusCode::kInvalidArgument, images + ": is not an IDX file");
  }
  SECTION("empty") {
    WriteBytes(labels, "");
    RequireRefused(StatusCode::kDataLoss, labels + ": ends within its header");
  }
  SECTION("no records") {
    WriteBytes(images, ImagesFile(0, 4, 5));
    RequireRefused(StatusCode::kInvalidArgument, images + ": has no records");
  }
  SECTION("impossible images") {
    WriteBytes(images, BigEndian({2051, 25, 1u << 31, 1u << 31}));
    RequireRefused(StatusCode::kInvalidArgument, "2147483648 x 2147483648 pixels; an image has 1 to 268435456");
    WriteBytes(images, BigEndian({2051, 25, 0, 5}));
    RequireRefused(StatusCode::kInvalidArgument, "0 x 5");
  }
}

TEST_CASE_METHOD(Fixture, "files that do not fit together, or whose length is wrong, are refused by name") {
  using absl::StatusCode;
  SECTION("other count of labels") {
    WriteBytes(labels, LabelsFile(24));
    RequireRefused(StatusCode::kInvalidArgument, "has 25 images, but " + labels + " has 24 labels");
  }
  SECTION("images cut off") {
    WriteBytes(images, ImagesFile(25, 4, 5).substr(0, 400));
    RequireRefused(StatusCode::kDataLoss, images + ": truncated: it ends before the 25 records");
  }
  SECTION("labels cut off") {
    WriteBytes(labels, LabelsFile(25).substr(0, 20));
    RequireRefused(StatusCode::kDataLoss, labels + ": truncated");
  }
  SECTION("images too long") {
    WriteBytes(images, ImagesFile(25, 4, 5) + "x");
    RequireRefused(StatusCode::kInvalidArgument, images + ": is longer than the 25 records");
  }
  SECTION("labels too long") {
    WriteBytes(labels, LabelsFile(25) + "x");
    RequireRefused(StatusCode::kInvalidArgument, labels + ": is longer");
  }
  SECTION("compressed data cut off") {
    WriteCompressed(images, ImagesFile(25, 4, 5));
    const std::string whole = ReadBytes(images);
    WriteBytes(images, whole.substr(0, whole.size() / 2));
    RequireRefused(StatusCode::kDataLoss, images + ": truncated: its compressed data end early");
  }
  SECTION("compressed data damaged") {
    WriteCompressed(images, ImagesFile(25, 4, 5));
    std::string bytes = ReadBytes(images);
    for (size_t i = 12; i < bytes.size() - 8; ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
    WriteBytes(images, bytes);
    RequireRefused(StatusCode::kDataLoss, images);
  }
}

}  // namespace
}  // namespace samovar
