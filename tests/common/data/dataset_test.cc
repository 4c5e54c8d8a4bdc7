#include "common/data/dataset.h"

#include <filesystem>
#include <limits>
#include <thread>

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{1, 4, 5};

struct Fixture {
  std::shared_ptr<Dataset> Open() {
    auto dataset = Dataset::Open(path, StorageTable());
    REQUIRE_OK(dataset);
    return *std::move(dataset);
  }

  void Write(const caffe::Datum& datum, const std::string& key) {
    WriteRecords(path, {{key, datum.SerializeAsString()}});
  }

  TempDir directory;
  std::string path = directory.File("set");
};

TEST_CASE_METHOD(Fixture, "records are read by position, in the order of keys") {
  Write(MakeDatum(kShape, 7, 70), "b");
  Write(MakeDatum(kShape, 5, 50), "a");
  Write(MakeDatum(kShape, 9, 90), "c");
  const auto dataset = Open();
  REQUIRE(dataset->size() == 3);
  REQUIRE(dataset->shape() == kShape);
  REQUIRE(dataset->path() == path);
  caffe::Datum datum;
  for (const auto& [position, label] : {std::pair(2, 9), std::pair(0, 5), std::pair(1, 7)}) {
    REQUIRE_OK(dataset->Read(static_cast<uint64_t>(position), &datum));
    REQUIRE(datum.SerializeAsString() == MakeDatum(kShape, label, 10 * label).SerializeAsString());
  }
  REQUIRE_STATUS(dataset->Read(3, &datum), absl::StatusCode::kOutOfRange, path + ": no record 3; it has 3");
}

TEST_CASE_METHOD(Fixture, "records with floats instead of bytes are read") {
  caffe::Datum written = MakeDatum(kShape, 3, 0);
  written.clear_data();
  for (size_t i = 0; i < kShape.elements(); ++i) written.add_float_data(static_cast<float>(i) / 2);
  Write(written, "a");
  caffe::Datum read;
  REQUIRE_OK(Open()->Read(0, &read));
  REQUIRE(read.float_data(19) == 9.5f);
}

TEST_CASE_METHOD(Fixture, "records larger than a page are read") {
  constexpr RecordShape kLarge{3, 32, 32};
  WriteDataset(path, kLarge, 100);
  caffe::Datum datum;
  REQUIRE_OK(Open()->Read(99, &datum));
  REQUIRE(datum.SerializeAsString() == MakeDatum(kLarge, 9, 99).SerializeAsString());
}

TEST_CASE_METHOD(Fixture, "threads may read, open and close at the same time") {
  WriteDataset(path, kShape, 50);
  std::vector<std::thread> threads;
  std::vector<int> errors(4);
  for (size_t i = 0; i < errors.size(); ++i) {
    threads.emplace_back([&, i] {
      caffe::Datum datum;
      for (uint64_t position = 0; position < 50; ++position) {
        auto dataset = Dataset::Open(path, StorageTable());
        const bool good =
            dataset.ok() && (*dataset)->Read(position, &datum).ok() && datum.label() == static_cast<int>(position % 10);
        errors[i] += !good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(errors == std::vector<int>(4));
}

TEST_CASE_METHOD(Fixture, "an open data set is not disturbed by a writer") {
  WriteDataset(path, kShape, 3);
  const auto dataset = Open();
  // Another process would write; here the files are replaced.
  TempDir other;
  WriteDataset(other.File("set"), kShape, 9);
  std::filesystem::rename(other.File("set") + "/data.mdb", path + "/data.mdb");
  caffe::Datum datum;
  REQUIRE_OK(dataset->Read(2, &datum));
  REQUIRE(datum.label() == 2);
}

TEST_CASE_METHOD(Fixture, "what is not a data set is refused with what it is") {
  SECTION("nothing") {
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kNotFound,
                   path + ": no such directory; make one with `samovar data import`");
  }
  SECTION("a file") {
    WriteBytes(path, "x");
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument, path + ": is a file");
    REQUIRE_STATUS(Dataset::Open(path + "/data.mdb", StorageTable()), absl::StatusCode::kNotFound, "no such directory");
  }
  SECTION("an empty directory") {
    std::filesystem::create_directory(path);
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kNotFound, "has no data.mdb");
  }
  SECTION("an LMDB without records") {
    WriteRecords(path, {});
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument, path + ": has no records");
  }
  SECTION("a truncated LMDB") {
    WriteDataset(path, {3, 32, 32}, 20);
    const std::string whole = ReadBytes(path + "/data.mdb");
    WriteBytes(path + "/data.mdb", whole.substr(0, whole.size() / 2));
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kDataLoss, "truncated");
  }
}

TEST_CASE_METHOD(Fixture, "a first record that cannot be is refused by key") {
  SECTION("no Datum") {
    WriteRecords(path, {{"key\x01", "\xff\xff\xff"}});
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument,
                   path + ", key \"key\\x01\": not a Datum of Caffe");
  }
  SECTION("no shape") {
    Write(caffe::Datum(), "a");
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument, "shape 0x0x0");
  }
  SECTION("a shape past all bounds") {
    caffe::Datum datum = MakeDatum(kShape, 0, 0);
    datum.set_channels(1 << 20);
    datum.set_height(1 << 20);
    datum.set_width(1 << 30);
    Write(datum, "a");
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument,
                   "a record has 1 to 268435456 values");
  }
  SECTION("less data than its shape needs") {
    caffe::Datum datum = MakeDatum(kShape, 0, 0);
    datum.set_data("short");
    Write(datum, "a");
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kDataLoss,
                   "has 5 bytes of data; its shape 1x4x5 needs 20");
  }
  SECTION("an encoded image") {
    caffe::Datum datum;
    datum.set_encoded(true);
    datum.set_data("\x89PNG");
    Write(datum, "a");
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument,
                   "key \"a\": the image is neither JPEG nor PNG");
  }
}

TEST_CASE_METHOD(Fixture, "records that are not encoded may differ in height and width, as encoded ones may") {
  Write(MakeDatum(kShape, 0, 0), "a");
  Write(MakeDatum({1, 6, 3}, 0, 0), "b");
  const auto dataset = Open();
  CHECK(dataset->shape() == kShape);
  caffe::Datum datum;
  REQUIRE_OK(dataset->Read(1, &datum));
  CHECK(datum.height() == 6);
  CHECK(datum.width() == 3);
  CHECK(datum.data().size() == 18);
}

TEST_CASE_METHOD(Fixture, "an image file in a record that is not marked as encoded is recognised by its first bytes") {
  caffe::Datum datum;
  SECTION("a JPEG in a first record without a shape") {
    datum.set_data("\xff\xd8\xff\xe0 and so on");
    Write(datum, "a");
    REQUIRE_STATUS(Dataset::Open(path, StorageTable()), absl::StatusCode::kInvalidArgument,
                   "key \"a\": looks like a JPEG image (14 bytes), but its field `encoded` is not set; make the "
                   "records anew with encoded: true");
  }
  SECTION("a PNG in a record that has one") {
    Write(MakeDatum(kShape, 5, 50), "a");
    datum = MakeDatum(kShape, 5, 50);
    datum.set_data("\x89PNG\r\n\x1a\n and so on");
    Write(datum, "b");
    REQUIRE_STATUS(Open()->Read(1, &datum), absl::StatusCode::kInvalidArgument,
                   "key \"b\": looks like a PNG image (18 bytes), but its field `encoded` is not set");
  }
}

TEST_CASE_METHOD(Fixture, "a damaged record behind the first is refused by path and key when it is read") {
  caffe::Datum datum = MakeDatum(kShape, 0, 0);
  Write(datum, "a");
  std::string expected;
  SECTION("no Datum") {
    WriteRecords(path, {{"b", "\xff\xff\xff"}});
    expected = "not a Datum";
  }
  SECTION("other channels") {
    Write(MakeDatum({2, 4, 5}, 0, 0), "b");
    expected = "has shape 2x4x5, but the first record has 1x4x5";
  }
  SECTION("a shape past all bounds") {
    datum.set_height(1 << 20);
    datum.set_width(1 << 20);
    Write(datum, "b");
    expected = "has shape 1x1048576x1048576, but the first record has 1x4x5";
  }
  SECTION("less data than its shape needs") {
    datum.set_height(5);
    Write(datum, "b");
    expected = "has 20 bytes of data; its shape 1x5x5 needs 25";
  }
  SECTION("no data") {
    datum.clear_data();
    Write(datum, "b");
    expected = "has no data and 0 float_data";
  }
  SECTION("floats that are not finite") {
    datum.clear_data();
    for (size_t i = 0; i < kShape.elements(); ++i) datum.add_float_data(std::numeric_limits<float>::quiet_NaN());
    Write(datum, "b");
    expected = "not finite";
  }
  const auto dataset = Open();
  REQUIRE_OK(dataset->Read(0, &datum));
  REQUIRE_STATUS(dataset->Read(1, &datum), absl::StatusCode::kDataLoss, path + ", key \"b\": ");
  REQUIRE_STATUS(dataset->Read(1, &datum), absl::StatusCode::kDataLoss, expected);
}

}  // namespace
}  // namespace samovar
