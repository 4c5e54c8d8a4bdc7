#include "worker/feed/remote_partitions.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/import/dataset_partition.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr RecordShape kShape{1, 4, 5};
constexpr uint64_t kRecords = 60;
constexpr uint32_t kPartitions = 6;

// A set at mem:/set, and a cache of files of its own.
struct Fixture {
  Fixture() {
    setenv("SAMOVAR_FILE_CACHE", cached.c_str(), 1);
    WriteDataset(directory.File("lmdb"), kShape, kRecords);
    ImportOptions options;
    options.partitions = kPartitions;
    REQUIRE_OK(PartitionDataset(directory.File("lmdb"), directory.File("set"), options));
    storage.Add("mem", mounted);
  }
  ~Fixture() { unsetenv("SAMOVAR_FILE_CACHE"); }

  absl::Status Read(const Dataset& dataset, uint64_t position) {
    caffe::Datum datum;
    const absl::Status status = dataset.Read(position, &datum);
    if (status.ok()) {
      CHECK(datum.SerializeAsString() ==
            MakeDatum(kShape, static_cast<int>(position % 10), static_cast<int>(position)).SerializeAsString());
    }
    return status;
  }
  std::string FileOf(uint32_t partition) {
    return absl::StrCat(directory.path(), "/set/", PartitionName(partition), "/data.mdb");
  }
  // The partitions of which something was asked for.
  std::string Asked() {
    std::string text;
    for (uint32_t partition = 0; partition < kPartitions; ++partition) {
      const std::string name = PartitionName(partition);
      const std::vector<std::string> calls = mounted->calls();
      const bool asked = std::any_of(calls.begin(), calls.end(),
                                     [&](const std::string& call) { return absl::StrContains(call, name); });
      if (asked) absl::StrAppend(&text, partition);
    }
    return text;
  }

  TempDir directory;
  std::string cached = directory.File("cache");
  std::shared_ptr<MountedStorage> mounted = std::make_shared<MountedStorage>(directory.path());
  StorageTable storage;
};

TEST_CASE_METHOD(Fixture,
                 "of a set in a storage the manifest comes first, and a partition when a record of it is read") {
  RemotePartitions partitions(storage);
  const auto dataset = Dataset::Open("mem:/set/", storage, &partitions);
  REQUIRE_OK(dataset);
  CHECK((*dataset)->size() == kRecords);
  CHECK(mounted->Had("open mem:/set/manifest"));
  CHECK(Asked().empty());
  REQUIRE_OK(Read(**dataset, 25));
  REQUIRE_OK(Read(**dataset, 45));
  CHECK(Asked() == "24");
  CHECK_FALSE(mounted->Had("fetch mem:/set"));
  // The other processes of this user read the same copies.
  fs::remove(FileOf(2));
  RemotePartitions of_another(storage);
  const auto again = Dataset::Open("mem:/set", storage, &of_another);
  REQUIRE_OK(again);
  REQUIRE_OK(Read(**again, 25));
  for (uint64_t position = 0; position < 20; ++position) REQUIRE_OK(Read(**again, position));
}

TEST_CASE_METHOD(Fixture,
                 "a partition in a storage that is damaged, shorter or missing is named, and nothing is kept of it") {
  const std::string whole = ReadBytes(FileOf(1));
  RemotePartitions partitions(storage);
  for (PartitionSource* const source :
       {static_cast<PartitionSource*>(nullptr), static_cast<PartitionSource*>(&partitions)}) {
    const auto dataset = Dataset::Open("mem:/set", storage, source);
    REQUIRE_OK(dataset);
    WriteBytes(FileOf(1), whole.substr(0, whole.size() - 1) + static_cast<char>(whole.back() ^ 1));
    REQUIRE_STATUS(Read(**dataset, 15), absl::StatusCode::kDataLoss, "its checksum is");
    REQUIRE_STATUS(Read(**dataset, 15), absl::StatusCode::kDataLoss, "mem:/set");
    WriteBytes(FileOf(1), whole.substr(1));
    REQUIRE_STATUS(Read(**dataset, 15), absl::StatusCode::kDataLoss, "mem:/set/part-00001/data.mdb: has ");
    fs::remove(FileOf(1));
    REQUIRE_STATUS(Read(**dataset, 15), absl::StatusCode::kNotFound, "mem:/set/part-00001/data.mdb: no such file");
    WriteBytes(FileOf(1), whole);
    REQUIRE_OK(Read(**dataset, 15));
  }
}

TEST_CASE_METHOD(Fixture,
                 "without a cache of partitions those that are read are fetched, and an LMDB is fetched whole") {
  const auto dataset = Dataset::Open("mem:/set", storage);
  REQUIRE_OK(dataset);
  REQUIRE_OK(Read(**dataset, 59));
  CHECK(mounted->Had("fetch mem:/set/part-00005"));
  CHECK(Asked() == "5");
  REQUIRE_OK(Dataset::Open("mem:/lmdb", storage));
  CHECK(mounted->Had("fetch mem:/lmdb"));
}

TEST_CASE_METHOD(Fixture, "sets of this machine are read where they lie, and a cache that is stopped copies no more") {
  RemotePartitions partitions(storage);
  const auto here = Dataset::Open(directory.File("set"), storage, &partitions);
  REQUIRE_OK(here);
  REQUIRE_OK(Read(**here, 30));
  CHECK_FALSE(fs::exists(cached));
  partitions.Stop();
  const auto dataset = Dataset::Open("mem:/set", storage, &partitions);
  REQUIRE_OK(dataset);
  REQUIRE_STATUS(Read(**dataset, 30), absl::StatusCode::kCancelled, "closed");
}

}  // namespace
}  // namespace samovar
