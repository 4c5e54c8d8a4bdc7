#include "common/import/cifar_import.h"

#include <filesystem>

#include "common/data/dataset.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{3, 32, 32};

// Record i has label (first + i) mod 10 and the pixels of MakeDatum.
std::string Batch(int first, int count) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    bytes.push_back(static_cast<char>(i % 10));
    bytes += MakeDatum(kShape, 0, i).data();
  }
  return bytes;
}

struct Fixture {
  absl::StatusOr<ImportSummary> Import(const std::vector<std::string>& inputs, const ImportOptions& options = {}) {
    return ImportCifar10(inputs, target, options);
  }

  // Record i of the LMDB is that of Batch.
  void RequireRecords(int count) {
    auto dataset = Dataset::Open(target, StorageTable());
    REQUIRE_OK(dataset);
    REQUIRE((*dataset)->size() == static_cast<uint64_t>(count));
    caffe::Datum datum;
    for (int i = 0; i < count; ++i) {
      REQUIRE_OK((*dataset)->Read(static_cast<uint64_t>(i), &datum));
      REQUIRE(datum.SerializeAsString() == MakeDatum(kShape, i % 10, i).SerializeAsString());
    }
    REQUIRE((*dataset)->NameOf(2) == target + ", key \"00002\"");
  }

  void RequireRefused(const std::vector<std::string>& inputs, absl::StatusCode code, const std::string& text) {
    REQUIRE_STATUS(Import(inputs), code, text);
    REQUIRE_FALSE(std::filesystem::exists(target));
  }

  TempDir directory;
  TempDir made;
  std::string target = made.File("lmdb");
};

TEST_CASE_METHOD(Fixture,
                 "a directory stands for its training files in the order of their numbers, and for nothing else") {
  // As many as have two digits, whose order as text is another.
  for (int i = 0; i < 11; ++i)
    WriteBytes(directory.File("data_batch_" + std::to_string(i + 1) + ".bin"), Batch(3 * i, 3));
  WriteBytes(directory.File("test_batch.bin"), Batch(0, 1));
  WriteBytes(directory.File("batches.meta.txt"), "airplane\n");
  const auto summary = Import({directory.path()});
  REQUIRE_OK(summary);
  REQUIRE(summary->records == 33);
  REQUIRE(summary->shape == kShape);
  REQUIRE(summary->max_label == 9);
  RequireRecords(33);
}

TEST_CASE_METHOD(Fixture, "files are imported one behind the other, and what is there is replaced by force only") {
  WriteBytes(directory.File("a"), Batch(0, 4));
  WriteBytes(directory.File("b"), Batch(4, 2));
  REQUIRE_OK(Import({directory.File("a"), directory.File("b")}));
  RequireRecords(6);
  REQUIRE_STATUS(Import({directory.File("a")}), absl::StatusCode::kAlreadyExists, target + ": exists already; --force");
  RequireRecords(6);
  ImportOptions force;
  force.force = true;
  REQUIRE_OK(Import({directory.File("a")}, force));
  RequireRecords(4);
}

TEST_CASE_METHOD(Fixture, "files that are not of this format are refused by name, and nothing is left") {
  using absl::StatusCode;
  const std::string file = directory.File("x.bin");
  SECTION("missing") { RequireRefused({file}, StatusCode::kNotFound, file); }
  SECTION("nothing named") { RequireRefused({}, StatusCode::kInvalidArgument, "no files"); }
  SECTION("empty") {
    WriteBytes(file, "");
    RequireRefused({file}, StatusCode::kInvalidArgument, file + ": has 0 bytes");
  }
  SECTION("cut short") {
    WriteBytes(file, Batch(0, 2).substr(1));
    RequireRefused({file}, StatusCode::kInvalidArgument,
                   file + ": has 6145 bytes; a file of the binary version of CIFAR-10 has 3073");
  }
  SECTION("CIFAR-100, or anything else of a fitting length") {
    WriteBytes(file, Batch(0, 1) + "\x0a" + std::string(3072, 'x'));
    RequireRefused({file}, StatusCode::kInvalidArgument,
                   file + ": record 1 has label 10; those of CIFAR-10 are 0 to 9");
  }
  SECTION("a directory without batches") {
    RequireRefused({directory.path()}, StatusCode::kNotFound,
                   directory.path() + ": has no data_batch_1.bin; name the directory");
  }
  SECTION("a directory that lacks one") {
    WriteBytes(directory.File("data_batch_1.bin"), Batch(0, 1));
    WriteBytes(directory.File("data_batch_3.bin"), Batch(0, 1));
    RequireRefused({directory.path()}, StatusCode::kNotFound, "has 2 files data_batch_N.bin, but no data_batch_2.bin");
  }
  SECTION("more records than five digits count") {
    WriteBytes(file, Batch(0, 1));
    std::filesystem::resize_file(file, uint64_t{3073} * 100'001);
    RequireRefused({file}, StatusCode::kInvalidArgument, "the files have 100001 records");
  }
}

}  // namespace
}  // namespace samovar
