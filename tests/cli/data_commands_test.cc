#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "common/caffe/mean_file.h"
#include "common/import/image_encoder.h"
#include "tests/cli/captured_output.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

void WriteFile(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A list of two PNG images, of gray 40 and 60.
struct Fixture {
  Fixture() {
    for (const char value : {40, 60}) {
      const auto png = EncodeImage({{3, 2, 4}, std::string(24, value)}, ImageFormat::kPng);
      REQUIRE_OK(png);
      WriteFile(directory.File(std::to_string(value) + ".png"), *png);
    }
    WriteFile(directory.File("list"), "40.png 0\n60.png 3\n");
    images.images.list = directory.File("list");
    images.images.root = directory.path();
    images.output = directory.File("lmdb");
    mean.path = images.output;
    mean.output = directory.File("mean.binaryproto");
  }

  // Runs a command, which ends with this code; keeps what it printed. An error is one line.
  template <class Command>
  void Run(int exit_code, const Command& command) {
    const CapturedOutput captured;
    const int code = command();
    out = captured.out();
    err = captured.err();
    INFO(out << err);
    CHECK(code == exit_code);
    CHECK(err.empty() == (exit_code == kExitOk));
    CHECK(out.empty() == (exit_code != kExitOk));
    if (!err.empty()) CHECK(absl::StartsWith(err, "samovar: error: "));
  }
  void Import(int exit_code) {
    Run(exit_code, [&] { return RunImportImages(images); });
  }
  void Mean(int exit_code) {
    Run(exit_code, [&] { return RunDataMean(mean); });
  }

  TempDir directory;
  ImportImagesFlags images;
  DataMeanOptions mean;
  std::string out;
  std::string err;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "an import says what it made, and the second one that it needs force") {
  Import(kExitOk);
  CHECK(absl::StartsWith(out, images.output + ": 2 records of 3x2x4, labels 0 to 3, "));
  Import(kExitUsage);
  CHECK(err == "samovar: error: " + images.output + ": exists already; --force replaces it\n");
  images.force = true;
  images.images.gray = true;
  Import(kExitOk);
  CHECK(absl::StrContains(out, "2 records of 1x2x4"));
}

TEST_CASE_METHOD(Fixture, "an import of files that are wrong ends with 2 and names them") {
  WriteFile(directory.File("60.png"), "GIF89a");
  Import(kExitUsage);
  CHECK(absl::StrContains(
      err, directory.File("list") + ":2: " + directory.File("60.png") + ": the image is neither JPEG nor PNG"));
  Run(kExitUsage, [&] { return RunImportCifar10({{directory.File("40.png")}, images.output, false}); });
  CHECK(absl::StrContains(err, "40.png: has "));
  CHECK_FALSE(std::filesystem::exists(images.output));
}

TEST_CASE_METHOD(Fixture, "an import of CIFAR-10 says what it made") {
  WriteFile(directory.File("test_batch.bin"), std::string("\x07") + std::string(3072, 'x'));
  Run(kExitOk, [&] { return RunImportCifar10({{directory.File("test_batch.bin")}, images.output, false}); });
  CHECK(absl::StartsWith(out, images.output + ": 1 records of 3x32x32, labels 7 to 7, "));
}

TEST_CASE_METHOD(Fixture, "info describes records, encoded or not") {
  Import(kExitOk);
  Run(kExitOk, [&] { return RunDataInfo({images.output}); });
  CHECK(out == "records  2\nshape    3x2x4 (channels x height x width)\nlabels   0: 1, 3: 1\n");
  images.force = images.images.encoded = true;
  Import(kExitOk);
  Run(kExitOk, [&] { return RunDataInfo({images.output}); });
  CHECK(absl::StrContains(out, "3x2x4 (channels x height x width) of the first; encoded (JPEG or PNG)"));
  Run(kExitUsage, [&] { return RunDataInfo({directory.File("nowhere")}); });
  CHECK(absl::StrContains(err, "nowhere: no such directory; make one with `samovar data import`"));
}

TEST_CASE_METHOD(
    Fixture, "info finds an image that cannot be decoded by its key, unless it is quick, and says that sizes differ") {
  const std::string path = directory.File("images");
  const auto encoded = [](const std::string& image) {
    caffe::Datum datum;
    datum.set_encoded(true);
    datum.set_data(image);
    return datum.SerializeAsString();
  };
  const auto first = EncodeImage({{3, 2, 4}, std::string(24, 'a')}, ImageFormat::kPng);
  const auto other = EncodeImage({{3, 5, 3}, std::string(45, 'b')}, ImageFormat::kPng);
  REQUIRE_OK(first);
  REQUIRE_OK(other);
  WriteRecords(path, {{"1", encoded(*first)}, {"2", encoded(*other)}});
  Run(kExitOk, [&] { return RunDataInfo({path}); });
  CHECK(absl::StrContains(
      out, "sizes    from 2 to 5 high and from 3 to 4 wide; a net needs one: set crop_size in its transform_param\n"));
  WriteRecords(path, {{"3", encoded(first->substr(0, first->size() / 2))}});
  Run(kExitUsage, [&] { return RunDataInfo({path}); });
  CHECK(absl::StrContains(err, path + ", key \"3\": the PNG is damaged"));
  Run(kExitOk, [&] { return RunDataInfo({path, /*verify=*/false, /*quick=*/true}); });
  CHECK(absl::StrContains(out, "records  3\n"));
}

TEST_CASE_METHOD(Fixture, "a set in partitions is made of an LMDB or imported, described, verified and refused twice") {
  Import(kExitOk);
  DataPartitionOptions partition;
  partition.source = images.output;
  partition.output = directory.File("set");
  partition.partitions = 2;
  Run(kExitOk, [&] { return RunDataPartition(partition); });
  CHECK(absl::StartsWith(out, partition.output + ": 2 records of 3x2x4 in 2 partitions, labels 0 to 3, "));
  Run(kExitUsage, [&] { return RunDataPartition(partition); });
  CHECK(err == "samovar: error: " + partition.output + ": exists already; --force replaces it\n");
  partition.force = true;
  partition.partitions = 3;
  Run(kExitUsage, [&] { return RunDataPartition(partition); });
  CHECK(absl::StrContains(err, "2 records, which cannot be in 3 partitions"));
  Run(kExitOk, [&] { return RunDataInfo({partition.output, true}); });
  CHECK(absl::StartsWith(out,
                         "records  2\nshape    3x2x4 (channels x height x width)\nlabels   0: 1, 3: 1\nstored   in 2 "
                         "partitions of 1 records, "));
  CHECK(absl::StrContains(out, "; all sizes and checksums are right"));
  Run(kExitUsage, [&] { return RunDataInfo({images.output, true}); });
  CHECK(absl::StrContains(err, "is an LMDB, which has no checksums"));
  const std::string made = ReadBytes(partition.output + "/manifest");
  images.output = partition.output;
  images.partitions = 2;
  images.force = true;
  Import(kExitOk);
  CHECK(ReadBytes(partition.output + "/manifest") == made);
}

TEST_CASE_METHOD(Fixture, "a mean is written, its channels are said, and it is replaced by force only") {
  Import(kExitOk);
  Mean(kExitOk);
  CHECK(out == mean.output + ": mean of 3x2x4; of the channels (mean_value) 50.0000, 50.0000, 50.0000\n");
  const auto blob = ReadMeanFile(mean.output, StorageTable());
  REQUIRE_OK(blob);
  CHECK(blob->data_size() == 24);
  CHECK(blob->data(23) == 50);
  Mean(kExitUsage);
  CHECK(err == "samovar: error: " + mean.output + ": exists already; --force replaces it\n");
  mean.force = true;
  Mean(kExitOk);
}

TEST_CASE_METHOD(Fixture, "a mean that cannot be computed or written ends with an error that names why") {
  Mean(kExitUsage);
  CHECK(absl::StrContains(err, "lmdb: no such directory"));
  Import(kExitOk);
  mean.output = directory.path();
  Mean(kExitUsage);
  CHECK(absl::StrContains(err, "is a directory; name a file in it"));
  // Before the records are read.
  mean.output = directory.File("list") + "/mean.binaryproto";
  Mean(kExitUsage);
  CHECK(absl::StrContains(err, directory.File("list")));
}

TEST_CASE_METHOD(Fixture, "of a set in a storage the commands copy one partition after the other, within a bound") {
  const TempDir cache;
  setenv("SAMOVAR_FILE_CACHE", cache.path().c_str(), 1);
  const auto mounted = std::make_shared<MountedStorage>(directory.path());
  StorageTable storage;
  storage.Add("mem", mounted);
  images.output = directory.File("set");
  images.partitions = 2;
  Import(kExitOk);
  const auto copies = [&] {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(cache.File("partitions"))) {
      count += entry.is_directory() ? 1 : 0;
    }
    return count;
  };
  Run(kExitOk, [&] { return RunDataInfo({"mem:/set", /*verify=*/true, /*quick=*/false, storage}); });
  CHECK(absl::StrContains(out, "records  2\n"));
  CHECK(copies() == 2);
  std::filesystem::remove_all(cache.File("partitions"));
  mean.path = "mem:/set";
  mean.storage = storage;
  Mean(kExitOk);
  CHECK(copies() == 2);
  for (const std::string& call : mounted->calls()) CHECK_FALSE(absl::StartsWith(call, "fetch "));
  unsetenv("SAMOVAR_FILE_CACHE");
}

TEST_CASE_METHOD(Fixture, "a mean does not take the place of the data that it is of") {
  Import(kExitOk);
  mean.output = mean.path + "/data.mdb";
  mean.force = true;
  Mean(kExitUsage);
  CHECK(absl::StrContains(err, "data.mdb: is inside the data set "));
  mean.output = directory.File("mean.binaryproto");
  Mean(kExitOk);
}

}  // namespace samovar
