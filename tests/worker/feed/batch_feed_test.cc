#include "worker/feed/batch_feed.h"

#include <algorithm>

#include "common/import/dataset_partition.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "worker/feed/open_reader.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{1, 3, 4};
constexpr int kRecords = 25;
constexpr uint32_t kBatch = 4;

struct Fixture {
  Fixture() {
    WriteDataset(path, kShape, kRecords);
    layer.set_name("mnist");
    layer.set_type("Data");
    layer.add_top("data");
    layer.add_top("label");
    layer.mutable_data_param()->set_backend(caffe::DataParameter::LMDB);
    layer.mutable_transform_param()->set_scale(0.5f);
    spec.set_layer("mnist");
    spec.set_records(kRecords);
    SetShape({kShape.channels, kShape.height, kShape.width});
    spec.set_batch_size(kBatch);
    spec.set_partitions(3);
  }

  void SetShape(const std::vector<int64_t>& shape) {
    spec.clear_tops();
    spec.add_tops()->mutable_shape()->Add(shape.begin(), shape.end());
    if (layer.top_size() > 1) spec.add_tops();
  }

  // That of what is at `path` now.
  void SetDigest() {
    auto reader = OpenReader(layer, phase, path, nullptr, StorageTable());
    REQUIRE_OK(reader);
    const auto digest = (*reader)->Digest((*reader)->size());
    REQUIRE_OK(digest);
    spec.set_digest(*digest);
  }

  absl::StatusOr<std::unique_ptr<BatchFeed>> Create() const {
    BatchFeed::Options options;
    auto reader = OpenReader(layer, phase, path, nullptr, StorageTable());
    if (!reader.ok()) return reader.status();
    options.reader = *std::move(reader);
    options.phase = phase;
    options.spec = spec;
    options.batches = parts;
    options.seed = seed;
    options.threads = threads;
    return BatchFeed::Create(std::move(options));
  }

  std::unique_ptr<BatchFeed> Make() const {
    auto feed = Create();
    REQUIRE_OK(feed);
    return *std::move(feed);
  }

  TempDir directory;
  std::string path = directory.File("set");
  caffe::LayerParameter layer;
  caffe::Phase phase = caffe::TRAIN;
  v1::DatasetSpec spec;
  uint32_t parts = 1;
  uint64_t seed = 5;
  int threads = 1;
};

struct Batch {
  explicit Batch(size_t samples, size_t elements = kShape.elements()) : data(samples * elements), labels(samples) {}
  bool operator==(const Batch& other) const { return data == other.data && labels == other.labels; }

  std::vector<float> data;
  std::vector<float> labels;
  std::vector<std::span<float>> tops = {data, labels};
};

TEST_CASE_METHOD(Fixture, "an iteration's batch holds the records that the schedule names, transformed") {
  const auto feed = Make();
  REQUIRE(feed->tops() == std::vector<TopShape>{{kShape.channels, kShape.height, kShape.width}, {}});
  REQUIRE(feed->batch_size() == kBatch);
  const auto schedule = IterationSchedule::Create({kRecords, kBatch, 3, 5});
  REQUIRE_OK(schedule);
  std::vector<uint64_t> positions;
  Batch batch(kBatch);
  for (uint64_t t = 0; t < 30; ++t) {
    REQUIRE_OK(feed->FillIteration(t, 0, batch.tops));
    schedule->RecordsOf(t, &positions);
    for (size_t i = 0; i < kBatch; ++i) {
      REQUIRE(batch.labels[i] == static_cast<float>(positions[i] % 10));
      for (size_t j = 0; j < kShape.elements(); ++j) {
        REQUIRE(batch.data[i * kShape.elements() + j] == 0.5f * static_cast<float>(positions[i] + j));
      }
    }
  }
}

TEST_CASE_METHOD(Fixture, "an iteration is the same whoever computes it, and whatever was computed before") {
  layer.mutable_transform_param()->set_crop_size(2);
  layer.mutable_transform_param()->set_mirror(true);
  SetShape({1, 2, 2});
  const auto first = Make();
  const auto second = Make();
  Batch here(kBatch, 4);
  Batch there(kBatch, 4);
  for (uint64_t t = 0; t < 10; ++t) REQUIRE_OK(first->FillIteration(t, 0, here.tops));
  REQUIRE_OK(first->FillIteration(3, 0, here.tops));
  REQUIRE_OK(second->FillIteration(3, 0, there.tops));
  REQUIRE(here == there);
  seed = 6;
  REQUIRE_OK(Make()->FillIteration(3, 0, there.tops));
  REQUIRE_FALSE(here == there);
}

// Batches that are large enough for several threads.
struct LargeFixture : Fixture {
  LargeFixture() {
    WriteDataset(path, kLarge, kRecords);
    SetShape({kLarge.channels, kLarge.height, kLarge.width});
    spec.set_batch_size(8);
  }

  static constexpr RecordShape kLarge{1, 400, 400};
};

TEST_CASE_METHOD(LargeFixture, "any number of threads fills the same batch") {
  layer.mutable_transform_param()->set_crop_size(390);
  layer.mutable_transform_param()->set_mirror(true);
  SetShape({1, 390, 390});
  const auto alone = Make();
  for (const int more : {2, 3, 8}) {
    threads = more;
    const auto together = Make();
    Batch expected(8, 390 * 390), batch(8, 390 * 390);
    for (const uint64_t t : {4, 0}) {
      REQUIRE_OK(alone->FillIteration(t, 0, expected.tops));
      REQUIRE_OK(together->FillIteration(t, 0, batch.tops));
      REQUIRE(batch == expected);
    }
  }
}

TEST_CASE_METHOD(LargeFixture,
                 "of several damaged records the first of the batch is named, with any number of threads") {
  WriteRecords(path, {{RecordKey(5), "\xff\xff"}, {RecordKey(9), "\xff\xff"}, {RecordKey(24), "\xff\xff"}});
  phase = caffe::TEST;
  Batch batch(20, kLarge.elements());
  for (const int some : {1, 2, 5}) {
    threads = some;
    const auto feed = Make();
    for (int i = 0; i < 10; ++i) {
      REQUIRE_STATUS(feed->FillRange(4, 24, batch.tops), absl::StatusCode::kDataLoss, "key \"00000005\"");
      REQUIRE_STATUS(feed->FillRange(6, 26, batch.tops), absl::StatusCode::kDataLoss, "key \"00000009\"");
    }
  }
}

TEST_CASE_METHOD(Fixture, "a range of a test set is in order and the same every time") {
  phase = caffe::TEST;
  layer.mutable_transform_param()->set_mirror(true);
  spec.set_partitions(0);  // means nothing here
  const auto feed = Make();
  Batch batch(7);
  REQUIRE_OK(feed->FillRange(18, 25, batch.tops));
  for (size_t i = 0; i < 7; ++i) {
    REQUIRE(batch.labels[i] == static_cast<float>((18 + i) % 10));
    for (size_t j = 0; j < kShape.elements(); ++j) {
      REQUIRE(batch.data[i * kShape.elements() + j] == 0.5f * static_cast<float>(18 + i + j));
    }
  }
  REQUIRE_OK(feed->FillRange(25, 25, Batch(0).tops));
  REQUIRE_OK(feed->FillRange(20, 27, batch.tops));
  REQUIRE(batch.data[5 * kShape.elements()] == 0);
  REQUIRE(batch.data[6 * kShape.elements()] == 0.5f);
  REQUIRE_STATUS(feed->FillRange(5, 4, batch.tops), absl::StatusCode::kOutOfRange, path);
}

TEST_CASE_METHOD(Fixture, "a layer without labels has one top") {
  const auto with = Make();
  layer.mutable_top()->RemoveLast();
  SetShape({kShape.channels, kShape.height, kShape.width});
  const auto without = Make();
  Batch batch(kBatch);
  std::vector<float> data(batch.data.size());
  const std::vector<std::span<float>> only = {data};
  REQUIRE_OK(with->FillIteration(0, 0, batch.tops));
  REQUIRE_OK(without->FillIteration(0, 0, only));
  REQUIRE(batch.data == data);
}

TEST_CASE_METHOD(Fixture,
                 "a partitioned set gives the batches of its source, in blocks of iterations as the spec says") {
  spec.set_block(5);
  const auto plain = Make();
  ImportOptions options;
  options.partitions = 3;
  options.force = true;
  REQUIRE_OK(PartitionDataset(path, directory.File("partitioned"), options));
  path = directory.File("partitioned");
  const auto stored = Make();
  const auto schedule = IterationSchedule::Create({kRecords, kBatch, 3, seed, 5});
  REQUIRE_OK(schedule);
  Batch batch(kBatch), expected(kBatch);
  std::vector<uint64_t> positions;
  for (uint64_t t = 0; t < 60; ++t) {
    REQUIRE_OK(plain->FillIteration(t, 0, expected.tops));
    REQUIRE_OK(stored->FillIteration(t, 0, batch.tops));
    REQUIRE(batch == expected);
    schedule->RecordsOf(t, &positions);
    for (size_t i = 0; i < kBatch; ++i) REQUIRE(batch.labels[i] == static_cast<float>(positions[i] % 10));
  }
}

TEST_CASE_METHOD(Fixture, "batches of an iteration together are one larger batch") {
  layer.mutable_transform_param()->set_mirror(true);
  spec.set_batch_size(2 * kBatch);
  const auto whole = Make();
  spec.set_batch_size(kBatch);
  parts = 2;
  const auto halves = Make();
  Batch all(2 * kBatch);
  Batch half(kBatch);
  for (uint64_t t = 0; t < 10; ++t) {
    REQUIRE_OK(whole->FillIteration(t, 0, all.tops));
    for (uint32_t part = 0; part < 2; ++part) {
      REQUIRE_OK(halves->FillIteration(t, part, half.tops));
      const auto begin = all.data.begin() + static_cast<ptrdiff_t>(part * half.data.size());
      REQUIRE(std::equal(half.data.begin(), half.data.end(), begin));
      REQUIRE(std::equal(half.labels.begin(), half.labels.end(), all.labels.begin() + part * kBatch));
    }
  }
  REQUIRE_STATUS(halves->FillIteration(0, 2, half.tops), absl::StatusCode::kInvalidArgument, "batch 2");
}

TEST_CASE_METHOD(Fixture, "spans of another size or number are refused") {
  const auto feed = Make();
  Batch batch(kBatch + 1);
  REQUIRE_STATUS(feed->FillIteration(0, 0, batch.tops), absl::StatusCode::kInvalidArgument, "60");
  Batch right(kBatch);
  right.tops[1] = batch.labels;
  REQUIRE_STATUS(feed->FillIteration(0, 0, right.tops), absl::StatusCode::kInvalidArgument, "5");
  right.tops.pop_back();
  REQUIRE_STATUS(feed->FillIteration(0, 0, right.tops), absl::StatusCode::kInvalidArgument, "");
}

TEST_CASE_METHOD(Fixture, "training feeds fill iterations, test feeds fill ranges") {
  Batch batch(kBatch);
  REQUIRE_STATUS(Make()->FillRange(0, 4, batch.tops), absl::StatusCode::kFailedPrecondition, "TRAIN");
  phase = caffe::TEST;
  REQUIRE_STATUS(Make()->FillIteration(0, 0, batch.tops), absl::StatusCode::kFailedPrecondition, "TEST");
}

TEST_CASE_METHOD(Fixture, "a data set that is not what the job was submitted with is refused") {
  SECTION("other number of records") {
    spec.set_records(60'000);
    REQUIRE_STATUS(Create(), absl::StatusCode::kInvalidArgument,
                   "has 25 records here, but had 60000 where the job was submitted");
  }
  SECTION("other shape") {
    SetShape({1, 28, 4});
    REQUIRE_STATUS(Create(), absl::StatusCode::kInvalidArgument, "1x28x4");
  }
}

TEST_CASE_METHOD(Fixture, "records that are as many and as large as the job's, and others, are refused for good") {
  SetDigest();
  REQUIRE_OK(Create());
  const std::string other = directory.File("other");
  std::vector<std::pair<std::string, std::string>> records;
  for (int i = 0; i < kRecords; ++i) {
    records.emplace_back(RecordKey(static_cast<uint64_t>(i)), MakeDatum(kShape, (i + 1) % 10, i).SerializeAsString());
  }
  WriteRecords(other, records);
  path = other;
  REQUIRE_STATUS(Create(), absl::StatusCode::kInvalidArgument,
                 other + ": has other records of the same number and shape");
  SECTION("a job that does not say what they are takes them") {
    spec.clear_digest();
    REQUIRE_OK(Create());
  }
}

TEST_CASE_METHOD(Fixture, "records that were appended since the job was submitted are not read") {
  spec.set_partitions(1);
  SetDigest();
  const auto before = Make();
  const std::string appended = directory.File("appended");
  WriteDataset(appended, kShape, kRecords + 5);
  path = appended;
  const auto after = Make();
  CHECK(after->records() == kRecords);
  Batch here(kBatch), there(kBatch);
  for (uint64_t t = 0; t < 20; ++t) {
    REQUIRE_OK(before->FillIteration(t, 0, here.tops));
    REQUIRE_OK(after->FillIteration(t, 0, there.tops));
    REQUIRE(here == there);
  }
  SECTION("a test goes on after the job's last record with the first") {
    phase = caffe::TEST;
    REQUIRE_OK(Make()->FillRange(kRecords, kRecords + kBatch, there.tops));
    CHECK(there.labels == std::vector<float>{0, 1, 2, 3});
  }
  SECTION("not when the others are not those of the job") {
    spec.set_records(kRecords - 1);
    REQUIRE_STATUS(Create(), absl::StatusCode::kInvalidArgument, "has 30 records here, but had 24");
  }
}

TEST_CASE_METHOD(Fixture, "what is wrong with the layer or the spec is named with the layer") {
  using absl::StatusCode;
  SECTION("transform") {
    layer.mutable_transform_param()->set_crop_size(9);
    REQUIRE_STATUS(Create(), StatusCode::kInvalidArgument, "layer \"mnist\": transform_param");
  }
  SECTION("batch") {
    spec.set_batch_size(0);
    REQUIRE_STATUS(Create(), StatusCode::kInvalidArgument, "\"mnist\": batch_size");
  }
  SECTION("an iteration beyond the limit") {
    parts = 1u << 31;
    REQUIRE_STATUS(Create(), StatusCode::kInvalidArgument, "has 8589934592 records; it must have 1 to 4294967295");
  }
  SECTION("partitions") {
    spec.set_partitions(26);
    REQUIRE_STATUS(Create(), StatusCode::kInvalidArgument, "partitions is 26");
  }
}

TEST_CASE_METHOD(Fixture, "a damaged record ends the batch with its key") {
  WriteRecords(path, {{RecordKey(24), "\xff\xff"}});
  phase = caffe::TEST;
  Batch batch(25);
  REQUIRE_STATUS(Make()->FillRange(0, 25, batch.tops), absl::StatusCode::kDataLoss, "key \"00000024\"");
}

}  // namespace
}  // namespace samovar
