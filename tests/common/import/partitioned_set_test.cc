#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/data/iteration_schedule.h"
#include "common/import/dataset_mean.h"
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
constexpr int kRecords = 103;

struct Fixture {
  Fixture() { WriteDataset(source, kShape, kRecords); }

  absl::StatusOr<ImportSummary> Partition(uint32_t partitions, bool force = false) {
    ImportOptions options;
    options.partitions = partitions;
    options.force = force;
    return PartitionDataset(source, set, options);
  }
  std::shared_ptr<Dataset> Open(const std::string& path) {
    auto dataset = Dataset::Open(path, StorageTable());
    REQUIRE_OK(dataset);
    return *std::move(dataset);
  }
  // The entries of the directory, but for the source.
  std::vector<std::string> Others() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory.path())) {
      if (entry.path() != source) names.push_back(entry.path().filename());
    }
    return names;
  }
  // Replaces text in the manifest.
  void Edit(const std::string& from, const std::string& to) {
    const std::string text = ReadBytes(manifest);
    const std::string edited = absl::StrReplaceAll(text, {{from, to}});
    REQUIRE(edited != text);
    WriteBytes(manifest, edited);
  }

  TempDir directory;
  std::string source = directory.File("lmdb");
  std::string set = directory.File("set");
  std::string manifest = set + "/manifest";
};

TEST_CASE_METHOD(
    Fixture,
    "a position means the same record in a partitioned set as in its source, and partitions are cut as schedules do") {
  const auto original = Open(source);
  const auto keys = original->Keys();
  REQUIRE_OK(keys);
  for (const uint32_t partitions : {1u, 2u, 4u, 17u, static_cast<uint32_t>(kRecords)}) {
    INFO(partitions << " partitions");
    const auto summary = Partition(partitions, /*force=*/true);
    REQUIRE_OK(summary);
    CHECK(summary->records == kRecords);
    const auto dataset = Open(set);
    CHECK(dataset->size() == kRecords);
    CHECK(dataset->shape() == kShape);
    CHECK_FALSE(dataset->encoded());
    CHECK(dataset->partitions() == partitions);
    const auto set_keys = dataset->Keys();
    REQUIRE_OK(set_keys);
    CHECK(*set_keys == *keys);
    caffe::Datum read, expected;
    // Not in order: partitions are opened when they are needed.
    for (uint64_t i = 0; i < kRecords; ++i) {
      const uint64_t position = i * 37 % kRecords;
      REQUIRE_OK(dataset->Read(position, &read));
      REQUIRE_OK(original->Read(position, &expected));
      REQUIRE(read.SerializeAsString() == expected.SerializeAsString());
    }
    REQUIRE_STATUS(dataset->Read(kRecords, &read), StatusCode::kOutOfRange, set + ": no record 103; it has 103");
    const auto schedule = IterationSchedule::Create({kRecords, 1, partitions, 1});
    REQUIRE_OK(schedule);
    for (uint32_t i = 0; i < partitions; ++i) {
      const auto part = Open(set + "/" + PartitionName(i));
      REQUIRE(part->size() == schedule->PartitionSize(i));
      REQUIRE(part->NameOf(0) ==
              absl::StrCat(set, "/", PartitionName(i), ", key \"", RecordKey(schedule->PartitionBegin(i)), "\""));
    }
  }
}

TEST_CASE_METHOD(Fixture, "positions are found in their partitions, however records are cut") {
  for (uint64_t records = 1; records < 40; ++records) {
    for (uint32_t partitions = 1; partitions <= records; ++partitions) {
      const PartitionCut cut = {records, partitions};
      uint64_t position = 0;
      for (uint32_t partition = 0; partition < partitions; ++partition) {
        REQUIRE(cut.Begin(partition) == position);
        for (uint64_t i = 0; i < cut.Size(partition); ++i) REQUIRE(cut.Of(position++) == partition);
      }
      REQUIRE(position == records);
    }
  }
}

TEST_CASE_METHOD(Fixture, "values are taken byte for byte, also into other numbers of partitions and back") {
  // A field that we do not know.
  WriteRecords(source, {{"zzz", MakeDatum(kShape, 4, 4).SerializeAsString() + "\xfa\x01\x01x"}});
  REQUIRE_OK(Partition(3));
  std::swap(source, set);
  set = directory.File("again");
  REQUIRE_OK(Partition(5));
  auto last = LmdbRecords::Open(set + "/part-00004");
  REQUIRE_OK(last);
  CHECK((*last)->value((*last)->size() - 1) == MakeDatum(kShape, 4, 4).SerializeAsString() + "\xfa\x01\x01x");
}

TEST_CASE_METHOD(Fixture, "the mean of a partitioned set is that of its source, to the bit") {
  REQUIRE_OK(Partition(4));
  const auto expected = ComputeMean(*Open(source), nullptr);
  const auto mean = ComputeMean(*Open(set), nullptr);
  REQUIRE_OK(expected);
  REQUIRE_OK(mean);
  CHECK(mean->blob.SerializeAsString() == expected->blob.SerializeAsString());
}

TEST_CASE_METHOD(Fixture, "threads may read a partitioned set at the same time, while it is opened") {
  REQUIRE_OK(Partition(7));
  const auto dataset = Open(set);
  std::vector<std::thread> threads;
  std::vector<int> errors(4);
  for (size_t i = 0; i < errors.size(); ++i) {
    threads.emplace_back([&, i] {
      caffe::Datum datum;
      for (uint64_t position = 0; position < kRecords; ++position) {
        errors[i] += !dataset->Read(position, &datum).ok() || datum.label() != static_cast<int>(position % 10);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(errors == std::vector<int>(4));
}

TEST_CASE_METHOD(Fixture, "an existing set is replaced only by force, and by nothing that fails") {
  REQUIRE_OK(Partition(2));
  REQUIRE_STATUS(Partition(3), StatusCode::kAlreadyExists, set + ": exists already; --force replaces it");
  REQUIRE_STATUS(Partition(kRecords + 1, true), StatusCode::kInvalidArgument,
                 "103 records, which cannot be in 104 partitions; choose 1 to 103");
  CHECK(Open(set)->partitions() == 2);
  REQUIRE_OK(Partition(3, true));
  CHECK(Open(set)->partitions() == 3);
  CHECK(Others() == std::vector<std::string>{"set"});
  WriteBytes(set + "/thesis.tex", "x");
  REQUIRE_STATUS(Partition(2, true), StatusCode::kAlreadyExists, "is not an LMDB");
  fs::remove(set + "/thesis.tex");
  WriteBytes(set + "/part-00000/thesis.tex", "x");
  REQUIRE_STATUS(Partition(2, true), StatusCode::kAlreadyExists, "is not an LMDB");
}

TEST_CASE_METHOD(Fixture, "a set may replace its own source") {
  REQUIRE_OK(Partition(2));
  fs::remove_all(source);
  fs::rename(set, source);
  set = source;
  REQUIRE_OK(Partition(5, true));
  CHECK(Open(set)->partitions() == 5);
}

TEST_CASE_METHOD(Fixture, "a partitioning that is interrupted, or meets a damaged record, leaves nothing") {
  SECTION("interrupted") {
    Stopper stopper;
    ImportOptions options;
    options.partitions = 4;
    options.stopper = &stopper;
    WriteDataset(source, kShape, 3'000);
    options.progress = [&](uint64_t done, uint64_t) {
      if (done == 2'000) stopper.Stop();
    };
    REQUIRE_STATUS(PartitionDataset(source, set, options), StatusCode::kCancelled, "interrupted");
  }
  SECTION("damaged") {
    WriteRecords(source, {{RecordKey(50), "garbage"}});
    REQUIRE_STATUS(Partition(4), StatusCode::kDataLoss, source + ", key \"00000050\": not a Datum");
  }
  SECTION("nowhere") {
    source = directory.File("nowhere");
    REQUIRE_STATUS(Partition(4), StatusCode::kNotFound, source);
    source = directory.File("lmdb");
  }
  CHECK(Others().empty());
}

TEST_CASE_METHOD(Fixture, "what is missing in a set, or of another size, is named when it is opened") {
  REQUIRE_OK(Partition(4));
  const std::string file = set + "/part-00002/data.mdb";
  SECTION("the manifest") {
    fs::remove(manifest);
    REQUIRE_STATUS(Dataset::Open(set, StorageTable()), StatusCode::kNotFound,
                   manifest + ": no such file, although there are partitions");
  }
  SECTION("a partition") {
    fs::remove_all(set + "/part-00002");
    REQUIRE_STATUS(Dataset::Open(set, StorageTable()), StatusCode::kNotFound,
                   file + ": no such file, but the set's manifest names it; copy the whole set again");
  }
  SECTION("the end of a partition") {
    const std::string whole = ReadBytes(file);
    WriteBytes(file, whole.substr(0, whole.size() / 2));
    REQUIRE_STATUS(Dataset::Open(set, StorageTable()), StatusCode::kDataLoss, file + ": has ");
  }
  SECTION("a partition of another set, as large as the first") {
    WriteDataset(directory.File("other"), kShape, kRecords / 4 - 1);
    fs::copy_file(directory.File("other") + "/data.mdb", file, fs::copy_options::overwrite_existing);
    REQUIRE(fs::file_size(file) == Open(set)->manifest()->partitions(2).bytes());
    caffe::Datum datum;
    REQUIRE_STATUS(Open(set)->Read(60, &datum), StatusCode::kDataLoss,
                   set + "/part-00002: has 24 records, but 26 by the manifest");
  }
}

TEST_CASE_METHOD(Fixture,
                 "damage that keeps the size is found by the checksum, and by whoever reads it in LMDB's own way") {
  REQUIRE_OK(Partition(4));
  const auto read = ReadManifest(set);
  REQUIRE_OK(read);
  const auto nothing = [](absl::string_view) { return absl::OkStatus(); };
  for (const v1::DatasetPartition& partition : read->partitions()) CHECK(ReadPartition(set, partition, nothing).ok());
  const std::string file = set + "/part-00001/data.mdb";
  const std::string whole = ReadBytes(file);
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    std::string damaged = whole;
    const size_t at = random() % whole.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    WriteBytes(file, damaged);
    REQUIRE_STATUS(ReadPartition(set, read->partitions(1), nothing), StatusCode::kDataLoss,
                   file + ": its checksum is ");
    // In place it may go unnoticed, or not, but nothing crashes.
    caffe::Datum datum;
    const auto dataset = Open(set);
    for (uint64_t position = 26; position < 52; ++position) (void)dataset->Read(position, &datum).ok();
  }
}

TEST_CASE_METHOD(Fixture, "a manifest that cannot be is refused by file and what to do") {
  REQUIRE_OK(Partition(4));
  std::string expected;
  StatusCode code = StatusCode::kDataLoss;
  SECTION("text") { WriteBytes(manifest, "these are no partitions"), expected = "is not a manifest: line 1, column "; }
  SECTION("nothing") { WriteBytes(manifest, ""), expected = "does not say its format"; }
  SECTION("a later format") {
    Edit("format: 1", "format: 2 new_field: 7");
    expected = "is of format 2, and this version reads 1";
    code = StatusCode::kInvalidArgument;
  }
  SECTION("names that lead elsewhere") {
    for (const char* const name : {"..", "../lmdb", "/lmdb", "a/b", "", ".hidden", "a\\\\b", "x\\000y"}) {
      REQUIRE_OK(Partition(4, true));
      Edit("part-00001", name);
      REQUIRE_STATUS(Dataset::Open(set, StorageTable()), StatusCode::kDataLoss,
                     "is not named as a directory in the set");
    }
    expected = "partition 1 (\"x\\x00y\") is not named as a directory";
  }
  SECTION("a name twice") {
    Edit("part-00001", "part-00000"), expected = "partition 1 (\"part-00000\") is there twice";
  }
  SECTION("another number of records") {
    Edit("records: 103", "records: 104"), expected = "of 104 in 4 partitions it has 26";
  }
  SECTION("fewer records than partitions") {
    Edit("records: 103", "records: 3"), expected = "says that 4 partitions have 3 records";
  }
  SECTION("records in one partition instead of another") {
    Edit("records: 25", "records: 24"), expected = "has 24 records";
  }
  SECTION("a shape beyond the limit") {
    Edit("channels: 1", "channels: 4000000000");
    expected = "records are 4000000000x4x5, but a record has 1 to 268435456 values";
  }
  SECTION("no bytes") {
    Edit(absl::StrCat("bytes: ", Open(set)->manifest()->partitions(0).bytes()), "bytes: 0");
    expected = "has 0 bytes";
  }
  REQUIRE_STATUS(Dataset::Open(set, StorageTable()), code, manifest + ": ");
  REQUIRE_STATUS(Dataset::Open(set, StorageTable()), code, expected);
}

TEST_CASE_METHOD(Fixture, "a garbled manifest is an error, or means a set that can be, and never a crash") {
  REQUIRE_OK(Partition(4));
  const std::string whole = ReadBytes(manifest);
  std::mt19937 random(7);
  for (int i = 0; i < 3'000; ++i) {
    std::string garbled = whole;
    for (uint32_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % garbled.size();
      switch (random() % 4) {
        case 0:
          garbled[at] = static_cast<char>(random());
          break;
        case 1:
          garbled.erase(at, 1 + random() % 20);
          break;
        case 2:
          garbled.insert(at, garbled.substr(random() % garbled.size(), 1 + random() % 40));
          break;
        case 3:
          garbled[at] = static_cast<char>('0' + random() % 10);
          break;
      }
    }
    WriteBytes(manifest, garbled);
    const auto dataset = Dataset::Open(set, StorageTable());
    if (!dataset.ok()) continue;
    caffe::Datum datum;
    for (uint64_t position = 0; position < (*dataset)->size(); position += 10)
      (void)(*dataset)->Read(position, &datum).ok();
  }
}

}  // namespace
}  // namespace samovar
