#include "worker/feed/partition_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/import/dataset_partition.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

constexpr RecordShape kShape{1, 4, 5};
constexpr uint64_t kRecords = 60;
constexpr uint32_t kPartitions = 6;

struct Fixture {
  Fixture() {
    WriteDataset(directory.File("lmdb"), kShape, kRecords);
    MakeSet(set);
    const auto manifest = ReadManifest(set);
    REQUIRE_OK(manifest);
    partition_bytes = manifest->partitions(0).bytes();
  }

  void MakeSet(const std::string& path) {
    ImportOptions options;
    options.partitions = kPartitions;
    REQUIRE_OK(PartitionDataset(directory.File("lmdb"), path, options));
  }

  std::unique_ptr<PartitionCache> Cache(uint64_t partitions, absl::Duration patience = absl::Milliseconds(200)) {
    PartitionCache::Options options;
    options.directory = cached;
    options.bytes = partitions * partition_bytes;
    options.copy_patience = options.room_patience = patience;
    auto cache = PartitionCache::Create(options);
    REQUIRE_OK(cache);
    return *std::move(cache);
  }

  // Reads the first record of a partition.
  absl::Status Read(PartitionCache* cache, uint64_t partition) {
    const auto dataset = Dataset::Open(set, StorageTable(), cache);
    if (!dataset.ok()) return dataset.status();
    caffe::Datum datum;
    const uint64_t position = partition * kRecords / kPartitions;
    const absl::Status status = (*dataset)->Read(position, &datum);
    if (status.ok())
      CHECK(datum.SerializeAsString() ==
            MakeDatum(kShape, static_cast<int>(position % 10), static_cast<int>(position)).SerializeAsString());
    return status;
  }

  // "0 3": the partitions that are in the cache; and "3?": under copy, or left.
  std::string Cached() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(cached)) {
      const std::string name = entry.path().filename();
      if (!absl::StartsWith(name, "part-")) continue;
      names.push_back(absl::StrCat(name.substr(9, 1), absl::EndsWith(name, ".copying") ? "?" : ""));
    }
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string& name : names) absl::StrAppend(&text, text.empty() ? "" : " ", name);
    return text;
  }
  // The directory in the cache, which is there.
  std::string EntryOf(uint64_t partition) {
    for (const auto& entry : fs::directory_iterator(cached)) {
      if (absl::StartsWith(entry.path().filename().string(), PartitionName(static_cast<uint32_t>(partition))))
        return entry.path();
    }
    FAIL("partition " << partition << " is not in the cache");
    return "";
  }
  std::string FileOf(uint64_t partition) {
    return absl::StrCat(set, "/", PartitionName(static_cast<uint32_t>(partition)), "/data.mdb");
  }

  TempDir directory;
  std::string set = directory.File("set");
  std::string cached = directory.File("cache");
  uint64_t partition_bytes = 0;
};

TEST_CASE_METHOD(Fixture, "partitions are copied when a record of theirs is read, and once") {
  const auto cache = Cache(kPartitions);
  REQUIRE_OK(Read(cache.get(), 2));
  CHECK(Cached() == "2");
  CHECK(ReadBytes(EntryOf(2) + "/data.mdb") == ReadBytes(FileOf(2)));
  // From now on the source does not matter.
  const std::string size_alone(partition_bytes, 'x');
  WriteBytes(FileOf(2), size_alone);
  REQUIRE_OK(Read(cache.get(), 4));
  REQUIRE_OK(Read(cache.get(), 2));
  CHECK(Cached() == "2 4");
  // Nor for another process.
  REQUIRE_OK(Read(Cache(kPartitions).get(), 2));
}

TEST_CASE_METHOD(Fixture, "all records are read right through a cache that holds one partition, in any order") {
  const auto cache = Cache(1);
  const auto dataset = Dataset::Open(set, StorageTable(), cache.get());
  REQUIRE_OK(dataset);
  caffe::Datum datum;
  for (uint64_t i = 0; i < kRecords; ++i) {
    const uint64_t position = i * 7 % kRecords;
    REQUIRE_OK((*dataset)->Read(position, &datum));
    REQUIRE(datum.SerializeAsString() ==
            MakeDatum(kShape, static_cast<int>(position % 10), static_cast<int>(position)).SerializeAsString());
    REQUIRE(Cached() == std::to_string(position / 10));
  }
  const auto keys = (*dataset)->Keys();
  REQUIRE_OK(keys);
  CHECK(keys->size() == kRecords);
  const std::string name = (*dataset)->NameOf(11);
  CHECK(absl::StartsWith(name, EntryOf(1)));
}

TEST_CASE_METHOD(Fixture, "the bound is kept by removing what was used longest ago") {
  const auto cache = Cache(3);
  for (const uint64_t partition : {0, 1, 2, 0, 3}) REQUIRE_OK(Read(cache.get(), partition));
  CHECK(Cached() == "0 2 3");
  CHECK(cache->held_bytes() == 3 * partition_bytes);
  REQUIRE_OK(Read(cache.get(), 1));
  CHECK(Cached() == "0 1 3");
  SECTION("a lower bound counts from the start") {
    Cache(1);
    CHECK(Cached() == "1");  // it is open
  }
  SECTION("other files are neither counted nor removed") {
    WriteBytes(cached + "/thesis.tex", std::string(partition_bytes * 3, 'x'));
    fs::create_directory(cached + "/part-of-my-thesis");
    REQUIRE_OK(Read(cache.get(), 5));
    CHECK(fs::exists(cached + "/thesis.tex"));
    CHECK(fs::exists(cached + "/part-of-my-thesis"));
  }
}

TEST_CASE_METHOD(Fixture, "a partition that is larger than the bound is refused with what to do") {
  PartitionCache::Options options;
  options.directory = cached;
  options.bytes = partition_bytes - 1;
  const auto cache = PartitionCache::Create(options);
  REQUIRE_OK(cache);
  REQUIRE_STATUS(
      Read(cache->get(), 0), StatusCode::kFailedPrecondition,
      absl::StrCat(FileOf(0), ": has ", partition_bytes, " bytes, and the cache ", cached, " at most ",
                   partition_bytes - 1, "; give a larger --cache-bytes, or cut the set into more partitions"));
}

TEST_CASE_METHOD(Fixture, "a damaged partition is named, and nothing of it is kept") {
  const auto cache = Cache(kPartitions);
  const std::string whole = ReadBytes(FileOf(3));
  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  const auto dataset = Dataset::Open(set, StorageTable(), cache.get());
  REQUIRE_OK(dataset);
  WriteBytes(FileOf(3), damaged);
  REQUIRE_STATUS(Read(cache.get(), 3), StatusCode::kDataLoss, FileOf(3) + ": its checksum is ");
  CHECK(Cached().empty());
  fs::remove(FileOf(3));
  caffe::Datum datum;
  REQUIRE_STATUS((*dataset)->Read(30, &datum), StatusCode::kNotFound, FileOf(3) + ": no such file");
  CHECK(Cached().empty());
  WriteBytes(FileOf(3), whole);
  REQUIRE_OK((*dataset)->Read(30, &datum));
  CHECK(Cached() == "3");
}

TEST_CASE_METHOD(Fixture, "a copy that this machine's disk has damaged is made again") {
  const auto cache = Cache(kPartitions);
  REQUIRE_OK(Read(cache.get(), 3));
  const std::string file = EntryOf(3) + "/data.mdb";
  REQUIRE_OK(Read(cache.get(), 2));
  SECTION("cut off") { fs::resize_file(file, partition_bytes / 2); }
  SECTION("garbled") {
    WriteBytes(file, std::string(partition_bytes, 'x'));
    REQUIRE_STATUS(Read(cache.get(), 3), StatusCode::kInvalidArgument, "copy of " + FileOf(3) + ": ");
    CHECK(Cached() == "2");
  }
  REQUIRE_OK(Read(cache.get(), 3));
}

TEST_CASE_METHOD(Fixture, "what a killed process has left is removed, at the start and when it is met") {
  const auto cache = Cache(2);
  REQUIRE_OK(Read(cache.get(), 1));
  const std::string left = EntryOf(1) + ".copying";
  fs::rename(EntryOf(1), left);
  SECTION("at the start") {
    Cache(2);
    // The first one has it open, and locked.
    CHECK(Cached() == "1?");
    REQUIRE_OK(Read(cache.get(), 0));
    Cache(2);
    CHECK(Cached() == "0");
  }
  SECTION("when it is met") {
    REQUIRE_OK(Read(cache.get(), 0));
    fs::resize_file(left + "/data.mdb", 10);
    REQUIRE_OK(Read(cache.get(), 1));
    CHECK(Cached() == "0 1");
  }
  SECTION("before it has a file") {
    fs::remove_all(left);
    fs::create_directory(left);
    Cache(2);
    CHECK(Cached().empty());
  }
}

TEST_CASE_METHOD(Fixture, "a partition that another process copies is waited for, but not for ever") {
  const auto cache = Cache(2);
  REQUIRE_OK(Read(cache.get(), 1));
  const std::string entry = EntryOf(1);
  REQUIRE_OK(Read(cache.get(), 0));
  fs::rename(entry, entry + ".copying");
  const int file = open((entry + ".copying/data.mdb").c_str(), O_RDONLY);
  REQUIRE(flock(file, LOCK_EX) == 0);
  REQUIRE_STATUS(Read(cache.get(), 1), StatusCode::kDeadlineExceeded, entry + ".copying: another process copies it");
  std::thread other([&] {
    fs::rename(entry + ".copying", entry);
    close(file);
  });
  REQUIRE_OK(Read(Cache(2, absl::Minutes(5)).get(), 1));
  other.join();
  CHECK(Cached() == "0 1");
}

TEST_CASE_METHOD(Fixture, "what others have open is not removed, and makes one wait, but not for ever") {
  const auto first = Cache(1);
  const auto second = Cache(1);
  REQUIRE_OK(Read(first.get(), 0));
  REQUIRE_OK(Read(second.get(), 0));
  REQUIRE_STATUS(Read(second.get(), 1), StatusCode::kDeadlineExceeded,
                 cached + ": the partitions that are in use leave no room for ");
  CHECK(Cached() == "0");
  // Of its own process, too.
  const auto held = Dataset::Open(set, StorageTable(), second.get());
  REQUIRE_OK(held);
  REQUIRE_OK(Read(first.get(), 1));
  CHECK(Cached() == "1");
}

TEST_CASE_METHOD(Fixture, "processes that share a directory copy each partition once, and keep the bound together") {
  constexpr int kCaches = 4;
  std::vector<std::unique_ptr<PartitionCache>> caches;
  for (int i = 0; i < kCaches; ++i) {
    PartitionCache::Options options;
    options.directory = cached;
    options.bytes = kCaches * partition_bytes;
    auto cache = PartitionCache::Create(options);
    REQUIRE_OK(cache);
    caches.push_back(*std::move(cache));
  }
  std::vector<int> errors(kCaches);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kCaches; ++i) {
    threads.emplace_back([&, i] {
      const auto dataset = Dataset::Open(set, StorageTable(), caches[i].get());
      caffe::Datum datum;
      for (uint64_t round = 0; round < 40; ++round) {
        const uint64_t position = (i * 13 + round * 17) % kRecords;
        errors[i] += !dataset.ok() || !(*dataset)->Read(position, &datum).ok() ||
                     datum.label() != static_cast<int>(position % 10);
        uint64_t entries = 0;
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(cached, error))
          entries += absl::StartsWith(entry.path().filename().string(), "part-");
        // A directory that is renamed while it is listed may come twice.
        errors[i] += entries > kCaches + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(errors == std::vector<int>(kCaches));
}

TEST_CASE_METHOD(Fixture, "partitions of the same name of two sets are two") {
  const std::string other = directory.File("other");
  MakeSet(other);
  const auto cache = Cache(kPartitions);
  REQUIRE_OK(Read(cache.get(), 0));
  set = other;
  REQUIRE_OK(Read(cache.get(), 0));
  CHECK(Cached() == "0 0");
}

TEST_CASE_METHOD(Fixture, "a cache that is stopped copies no more") {
  const auto cache = Cache(kPartitions);
  REQUIRE_OK(Read(cache.get(), 0));
  cache->Stop();
  REQUIRE_STATUS(Read(cache.get(), 1), StatusCode::kCancelled, "is closed");
  CHECK(Cached() == "0");
}

TEST_CASE_METHOD(Fixture, "a directory that cannot be made is named") {
  WriteBytes(cached, "x");
  PartitionCache::Options options;
  options.directory = cached + "/in";
  options.bytes = 1;
  const auto cache = PartitionCache::Create(options);
  CHECK(absl::StrContains(cache.status().message(), cached));
  CHECK_FALSE(cache.ok());
}

}  // namespace
}  // namespace samovar
