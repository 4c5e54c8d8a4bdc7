#include "common/data/records_digest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/data/dataset_manifest.h"
#include "common/import/dataset_partition.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

using absl::StatusCode;

constexpr RecordShape kShape{1, 3, 4};
constexpr int kRecords = 300;

using Records = std::vector<std::pair<std::string, std::string>>;

Records MakeRecords(const RecordShape& shape = kShape) {
  Records records;
  for (int i = 0; i < kRecords; ++i)
    records.emplace_back(RecordKey(static_cast<uint64_t>(i)), MakeDatum(shape, i % 10, i).SerializeAsString());
  return records;
}

// The record with another label.
void Relabel(int position, Records* records) {
  caffe::Datum datum;
  std::string* const value = &(*records)[static_cast<size_t>(position)].second;
  REQUIRE(datum.ParseFromString(*value));
  datum.set_label(datum.label() ^ 1);
  *value = datum.SerializeAsString();
}

struct Fixture {
  std::string DigestOf(const std::string& path, uint64_t count = kRecords) {
    const auto records = LmdbRecords::Open(path);
    REQUIRE_OK(records);
    REQUIRE((*records)->size() >= count);
    const auto digest = DigestOfRecords(**records, count);
    REQUIRE_OK(digest);
    return *digest;
  }
  std::string DigestOf(const Records& records) {
    const std::string path = directory.File(absl::StrCat(++written));
    WriteRecords(path, records);
    return DigestOf(path, records.size());
  }
  std::string DigestOfSet(const std::string& path) {
    const auto dataset = Dataset::Open(path, StorageTable());
    REQUIRE_OK(dataset);
    const auto digest = DigestOfDataset(**dataset, (*dataset)->size());
    REQUIRE_OK(digest);
    return *digest;
  }

  TempDir directory;
  int written = 0;
};

TEST_CASE("a sample has the first record and the last one, and others at equal distances") {
  CHECK(SampledPositions(1, 128) == std::vector<uint64_t>{0});
  CHECK(SampledPositions(2, 128) == std::vector<uint64_t>{0, 1});
  CHECK(SampledPositions(9, 5) == std::vector<uint64_t>{0, 2, 4, 6, 8});
  for (const uint64_t count : {uint64_t{127}, uint64_t{128}, uint64_t{129}, uint64_t{60'000}, uint64_t{1} << 62}) {
    const std::vector<uint64_t> positions = SampledPositions(count, 128);
    INFO(count << " records");
    CHECK(positions.size() == std::min<uint64_t>(count, 128));
    CHECK(positions.front() == 0);
    CHECK(positions.back() == count - 1);
    CHECK(std::adjacent_find(positions.begin(), positions.end(), std::greater_equal<>()) == positions.end());
  }
}

TEST_CASE_METHOD(Fixture,
                 "the same records in another file have the same digest, whatever its pages and transactions are") {
  const Records records = MakeRecords();
  const std::string expected = DigestOf(records);
  CHECK(DigestOf(Records(records.rbegin(), records.rend())) == expected);
  // One by one, and with others that were deleted again: free pages, and another transaction id.
  const std::string path = directory.File("worn");
  for (const auto& record : records) WriteRecords(path, {record});
  Records others;
  for (int i = 0; i < kRecords; ++i)
    others.emplace_back(absl::StrCat("x", RecordKey(static_cast<uint64_t>(i))), std::string(3000, 'x'));
  WriteRecords(path, others);
  {
    auto environment = LmdbEnvironment::Open(path, {});
    REQUIRE_OK(environment);
    REQUIRE_OK((*environment)->Write([&](LmdbTransaction& transaction) -> absl::Status {
      for (const auto& [key, value] : others) REQUIRE_OK(transaction.Delete(key));
      return absl::OkStatus();
    }));
  }
  CHECK(DigestOf(path) == expected);
}

TEST_CASE_METHOD(Fixture, "other labels, values, keys, sizes and numbers of records have other digests") {
  const Records records = MakeRecords();
  const std::string expected = DigestOf(records);
  Records others = records;
  SECTION("the first label") { Relabel(0, &others); }
  SECTION("the last label") { Relabel(kRecords - 1, &others); }
  SECTION("all labels") {
    for (int i = 0; i < kRecords; ++i) Relabel(i, &others);
  }
  SECTION("a key") { others[0].first[0] = '!'; }
  SECTION("the size of a record that is not in the sample") {
    const std::vector<uint64_t> sample = SampledPositions(kRecords, kSampledRecords);
    REQUIRE(std::count(sample.begin(), sample.end(), 1) == 0);
    others[1].second += std::string("\x38\x00", 2);  // encoded: false
  }
  SECTION("one less") { others.pop_back(); }
  SECTION("two in the place of each other") { std::swap(others[0].second, others[kRecords - 1].second); }
  CHECK(DigestOf(others) != expected);
}

TEST_CASE_METHOD(Fixture,
                 "the label of a record that is too long to be read whole is read, since it stands at its end") {
  const RecordShape large{3, 64, 64};
  Records records = MakeRecords(large);
  REQUIRE(records[0].second.size() > 2 * kSampledEndBytes);
  const std::string expected = DigestOf(records);
  CHECK(DigestOf(records) == expected);
  Relabel(kRecords - 1, &records);
  CHECK(DigestOf(records) != expected);
}

TEST_CASE_METHOD(Fixture, "what is appended leaves the digest of the records before it") {
  const std::string path = directory.File("lmdb");
  WriteRecords(path, MakeRecords());
  const std::string expected = DigestOf(path);
  WriteRecords(path, {{RecordKey(kRecords), MakeDatum(kShape, 1, 2).SerializeAsString()}});
  CHECK(DigestOf(path) == expected);
  CHECK(DigestOf(path, kRecords + 1) != expected);
  // Records that are put before them do matter.
  WriteRecords(path, {{"0", MakeDatum(kShape, 1, 2).SerializeAsString()}});
  CHECK(DigestOf(path) != expected);
}

TEST_CASE_METHOD(Fixture,
                 "a partitioned set is told by its manifest, and its partitions by a sample that stands there") {
  const std::string source = directory.File("lmdb"), set = directory.File("set"), other = directory.File("other");
  const Records records = MakeRecords();
  WriteRecords(source, records);
  ImportOptions options;
  options.partitions = 4;
  REQUIRE_OK(PartitionDataset(source, set, options));
  Records relabelled = records;
  for (int i = 0; i < kRecords; ++i) Relabel(i, &relabelled);
  const std::string other_source = directory.File("other_lmdb");
  WriteRecords(other_source, relabelled);
  REQUIRE_OK(PartitionDataset(other_source, other, options));
  CHECK(DigestOfSet(set) == DigestOfSet(set));
  CHECK(DigestOfSet(set) != DigestOfSet(other));
  CHECK(DigestOfSet(set) != DigestOfSet(source));

  const auto manifest = ReadManifest(set);
  REQUIRE_OK(manifest);
  const auto partition = PartitionFile(set, manifest->partitions(1));
  const std::string bytes = ReadBytes(partition);
  caffe::Datum datum;
  {
    const auto dataset = Dataset::Open(set, StorageTable());
    REQUIRE_OK(dataset);
    REQUIRE_OK((*dataset)->Read(100, &datum));
  }
  // As large as before, so that only a look into the partition finds it.
  WriteBytes(partition, ReadBytes(PartitionFile(other, manifest->partitions(1))));
  REQUIRE(ReadBytes(partition).size() == bytes.size());
  const auto changed = Dataset::Open(set, StorageTable());
  REQUIRE_OK(changed);
  REQUIRE_OK((*changed)->Read(0, &datum));
  REQUIRE_STATUS((*changed)->Read(100, &datum), StatusCode::kDataLoss, "has other records than the manifest of " + set);
  // A set of an older version says nothing of samples.
  v1::DatasetManifest older = *manifest;
  for (v1::DatasetPartition& entry : *older.mutable_partitions()) entry.clear_sample();
  REQUIRE_OK(WriteManifest(set, older));
  const auto old = Dataset::Open(set, StorageTable());
  REQUIRE_OK(old);
  CHECK(DigestOfSet(set) != DigestOfSet(other));
  REQUIRE_OK((*old)->Read(100, &datum));
}

TEST_CASE_METHOD(
    Fixture,
    "images are told by their list and by the files of a sample, and one that is missing is named with its line") {
  std::vector<ListedImage> images;
  for (int i = 0; i < 3; ++i) {
    images.push_back({{absl::StrCat("image ", i), i + 1}, i});
    WriteBytes(directory.File(images.back().name), std::string(20'000, static_cast<char>('a' + i)));
  }
  const auto digest_of = [&](const std::vector<ListedImage>& listed, uint64_t count) {
    return DigestOfImages("list.txt", listed, count,
                          [&](const ListedImage& image) { return directory.File(image.name); });
  };
  const auto expected = digest_of(images, 3);
  REQUIRE_OK(expected);
  CHECK(*digest_of(images, 3) == *expected);
  CHECK(*digest_of(images, 2) != *expected);
  std::vector<ListedImage> appended = images;
  appended.push_back(images[0]);
  CHECK(*digest_of(appended, 3) == *expected);
  std::vector<ListedImage> relabelled = images;
  relabelled[1].label = 7;
  CHECK(*digest_of(relabelled, 3) != *expected);
  WriteBytes(directory.File("image 2"), std::string(20'001, 'c'));
  CHECK(*digest_of(images, 3) != *expected);
  WriteBytes(directory.File("image 2"), std::string(20'000, 'd'));
  CHECK(*digest_of(images, 3) != *expected);
  relabelled[1].name = "none";
  REQUIRE_STATUS(digest_of(relabelled, 3), StatusCode::kNotFound, "list.txt:2: cannot read ");
}

TEST_CASE("rows of HDF5 files are told by their values and by the names of the files") {
  std::vector<std::string> files = {"a.h5", "b.h5"};
  std::vector<float> row;
  float last = 5;
  const auto digest_of = [&](uint64_t count) {
    return DigestOfRows(files, count, [&](uint64_t position) -> absl::StatusOr<std::span<const float>> {
      row = {static_cast<float>(position), position + 1 == count ? last : 0};
      return row;
    });
  };
  const auto expected = digest_of(1000);
  REQUIRE_OK(expected);
  CHECK(*digest_of(1000) == *expected);
  CHECK(*digest_of(999) != *expected);
  last = 6;
  CHECK(*digest_of(1000) != *expected);
  last = 5;
  files[1] = "c.h5";
  CHECK(*digest_of(1000) != *expected);
  const auto fails = [](uint64_t) -> absl::StatusOr<std::span<const float>> { return absl::DataLossError("row 0"); };
  REQUIRE_STATUS(DigestOfRows(files, 3, fails), StatusCode::kDataLoss, "row 0");
}

}  // namespace
}  // namespace samovar
