#include "worker/feed/hdf5_reader.h"

#include <filesystem>
#include <limits>

#include "tests/common/data/write_dataset.h"
#include "tests/common/data/write_hdf5.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "tests/worker/feed/read_record.h"

namespace samovar {
namespace {

// A list of two files in its directory: rows 0 to 2, and 3 to 7, of a "data" of two values and a "label".
struct Fixture {
  Fixture() {
    layer.set_name("h");
    layer.set_type("HDF5Data");
    layer.add_top("data");
    layer.add_top("label");
    WriteRows("a.h5", 0, 3);
    WriteRows("b.h5", 3, 5);
    WriteBytes(list, "a.h5\n\nb.h5\n");
  }

  // Row i is {2 i, 2 i + 1} with label 100 + i.
  void WriteRows(const std::string& name, int first, hsize_t rows) {
    WriteHdf5(directory.File(name), {{"data", {rows, 2}, Counting(2 * rows, static_cast<float>(2 * first))},
                                     {"label", {rows}, Counting(rows, static_cast<float>(100 + first))}});
  }

  std::unique_ptr<RecordReader> Open() {
    auto reader = OpenHdf5Reader(layer, list, StorageTable());
    REQUIRE_OK(reader);
    return *std::move(reader);
  }

  // Each record of the reader is that of WriteRows.
  void RequireRows(RecordReader* reader, uint64_t size) {
    REQUIRE(reader->size() == size);
    Record record(*reader);
    // Backwards and forwards, so that files are left and come back to.
    for (uint64_t i = 0; i < 2 * size; ++i) {
      const uint64_t at = i < size ? size - 1 - i : i - size;
      const float value = static_cast<float>(at);
      REQUIRE(record.Read(reader, at) == Values{{2 * value, 2 * value + 1}, {100 + value}});
    }
  }

  TempDir directory;
  std::string list = directory.File("list.txt");
  caffe::LayerParameter layer;
};

TEST_CASE_METHOD(Fixture, "rows are told from others by their values, and what is appended leaves those before it") {
  const auto expected = Open()->Digest(8);
  REQUIRE_OK(expected);
  CHECK(*Open()->Digest(8) == *expected);
  WriteRows("c.h5", 8, 2);
  WriteBytes(list, "a.h5\nb.h5\nc.h5\n");
  CHECK(*Open()->Digest(8) == *expected);
  CHECK(*Open()->Digest(10) != *expected);
  WriteRows("b.h5", 4, 5);
  CHECK(*Open()->Digest(8) != *expected);
}

TEST_CASE_METHOD(Fixture, "the rows of all files of the list are one sequence, a top for each data set of its name") {
  const auto reader = Open();
  REQUIRE(reader->source() == list);
  REQUIRE(reader->tops() == std::vector<TopShape>{{2}, {}});
  RequireRows(reader.get(), 8);
  layer.clear_top();
  layer.add_top("label");
  const auto labels = Open();
  REQUIRE(labels->tops() == std::vector<TopShape>{{}});
  REQUIRE(Record(*labels).Read(labels.get(), 4) == Values{{104}});
}

TEST_CASE_METHOD(Fixture, "a list may have more files than are open at a time") {
  std::string names;
  for (int i = 0; i < 80; ++i) {
    const std::string name = std::to_string(i) + ".h5";
    WriteRows(name, 2 * i, 2);
    names += name + "\n";
  }
  WriteBytes(list, names);
  const auto reader = Open();
  RequireRows(reader.get(), 160);
  const std::filesystem::directory_iterator handles("/proc/self/fd");
  REQUIRE(std::distance(begin(handles), end(handles)) < 60);
  // One that was closed meanwhile, and is another now.
  WriteRows("0.h5", 0, 1);
  Record record(*reader);
  for (uint64_t i = 159; i > 40; --i) record.Read(reader.get(), i);
  REQUIRE_STATUS(record.TryRead(reader.get(), 1), absl::StatusCode::kDataLoss, "0.h5: was changed");
}

TEST_CASE_METHOD(Fixture, "what is wrong with the layer, the list or a file is named") {
  using absl::StatusCode;
  SECTION("no tops") {
    layer.clear_top();
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kInvalidArgument,
                   "has no tops; name one for each data set");
  }
  SECTION("a transform") {
    layer.mutable_transform_param()->set_scale(0.5f);
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kInvalidArgument,
                   "transform_param is not for HDF5Data");
  }
  SECTION("no list") {
    std::filesystem::remove(list);
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kNotFound, list);
  }
  SECTION("an HDF5 file in place of the list") {
    REQUIRE_STATUS(OpenHdf5Reader(layer, directory.File("a.h5"), StorageTable()), StatusCode::kInvalidArgument,
                   "a.h5: is an HDF5 file");
  }
  SECTION("a missing file") {
    WriteBytes(list, "a.h5\nnowhere.h5\n");
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kNotFound,
                   list + ":2: nowhere.h5: no such file; a relative name is looked for in");
  }
  SECTION("a top that the files lack") {
    layer.add_top("weight");
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kNotFound,
                   "a.h5: data set \"weight\": is not in the file");
  }
  SECTION("data sets of different lengths") {
    WriteHdf5(directory.File("b.h5"), {{"data", {5, 2}, Counting(10)}, {"label", {4}, Counting(4)}});
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kInvalidArgument,
                   "b.h5: data set \"label\": has 4 rows");
  }
  SECTION("rows of another shape than the first file's") {
    WriteHdf5(directory.File("b.h5"), {{"data", {5, 3}, Counting(15)}, {"label", {5}, Counting(5)}});
    REQUIRE_STATUS(OpenHdf5Reader(layer, list, StorageTable()), StatusCode::kInvalidArgument,
                   "b.h5: the rows of \"data\" are [3], but in");
  }
}

TEST_CASE_METHOD(Fixture, "a value that is not finite is refused by file, data set and row") {
  WriteHdf5(directory.File("b.h5"),
            {{"data", {5, 2}, Counting(10)}, {"label", {5}, {0, 1, std::numeric_limits<float>::quiet_NaN(), 3, 4}}});
  const auto reader = Open();
  Record record(*reader);
  record.Read(reader.get(), 4);
  REQUIRE_STATUS(record.TryRead(reader.get(), 5), absl::StatusCode::kDataLoss,
                 directory.File("b.h5") + ": data set \"label\", row 2: has a value that is not finite");
}

}  // namespace
}  // namespace samovar
