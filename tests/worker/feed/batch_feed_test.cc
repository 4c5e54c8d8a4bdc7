#include "worker/feed/batch_feed.h"

#include <map>

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{1, 3, 4};
constexpr int kRecords = 25;
constexpr uint32_t kBatch = 4;

struct Fixture {
  Fixture() {
    WriteDataset(path, kShape, kRecords);
    auto dataset = Dataset::Open(path);
    REQUIRE_OK(dataset);
    options.dataset = *std::move(dataset);
    options.data_layer.set_name("mnist");
    options.data_layer.mutable_transform_param()->set_scale(0.5f);
    options.spec.set_records(kRecords);
    options.spec.set_channels(kShape.channels);
    options.spec.set_height(kShape.height);
    options.spec.set_width(kShape.width);
    options.spec.set_batch_size(kBatch);
    options.spec.set_partitions(3);
    options.seed = 5;
  }

  std::unique_ptr<BatchFeed> Make() {
    auto feed = BatchFeed::Create(options);
    REQUIRE_OK(feed);
    return *std::move(feed);
  }

  TempDir directory;
  std::string path = directory.File("set");
  BatchFeed::Options options;
};

struct Batch {
  explicit Batch(size_t samples, size_t elements = kShape.elements()) : data(samples * elements), labels(samples) {}
  bool operator==(const Batch&) const = default;

  std::vector<float> data;
  std::vector<float> labels;
};

TEST_CASE_METHOD(Fixture, "an iteration's batch holds the records that the schedule names, transformed") {
  const auto feed = Make();
  REQUIRE(feed->shape() == kShape);
  REQUIRE(feed->batch_size() == kBatch);
  const auto schedule = IterationSchedule::Create({kRecords, kBatch, 3, 5});
  REQUIRE_OK(schedule);
  std::vector<uint64_t> positions;
  Batch batch(kBatch);
  for (uint64_t t = 0; t < 30; ++t) {
    REQUIRE_OK(feed->FillIteration(t, batch.data, batch.labels));
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
  options.data_layer.mutable_transform_param()->set_crop_size(2);
  options.data_layer.mutable_transform_param()->set_mirror(true);
  const auto first = Make();
  const auto second = Make();
  REQUIRE(first->shape() == RecordShape{1, 2, 2});
  Batch here(kBatch, 4);
  Batch there(kBatch, 4);
  for (uint64_t t = 0; t < 10; ++t) REQUIRE_OK(first->FillIteration(t, here.data, here.labels));
  REQUIRE_OK(first->FillIteration(3, here.data, here.labels));
  REQUIRE_OK(second->FillIteration(3, there.data, there.labels));
  REQUIRE(here == there);
  options.seed = 6;
  REQUIRE_OK(Make()->FillIteration(3, there.data, there.labels));
  REQUIRE_FALSE(here == there);
}

TEST_CASE_METHOD(Fixture, "a range of a test set is in order and the same every time") {
  options.phase = caffe::TEST;
  options.data_layer.mutable_transform_param()->set_mirror(true);
  options.spec.set_partitions(0);  // means nothing here
  const auto feed = Make();
  Batch batch(7);
  REQUIRE_OK(feed->FillRange(18, 25, batch.data, batch.labels));
  for (size_t i = 0; i < 7; ++i) {
    REQUIRE(batch.labels[i] == static_cast<float>((18 + i) % 10));
    for (size_t j = 0; j < kShape.elements(); ++j) {
      REQUIRE(batch.data[i * kShape.elements() + j] == 0.5f * static_cast<float>(18 + i + j));
    }
  }
  REQUIRE_OK(feed->FillRange(25, 25, {}, {}));
  REQUIRE_STATUS(feed->FillRange(20, 26, batch.data, batch.labels), absl::StatusCode::kOutOfRange, "it has 25");
  REQUIRE_STATUS(feed->FillRange(5, 4, batch.data, batch.labels), absl::StatusCode::kOutOfRange, path);
}

TEST_CASE_METHOD(Fixture, "labels may be left out") {
  const auto feed = Make();
  Batch with(kBatch);
  Batch without(kBatch);
  REQUIRE_OK(feed->FillIteration(0, with.data, with.labels));
  REQUIRE_OK(feed->FillIteration(0, without.data, {}));
  REQUIRE(with.data == without.data);
}

TEST_CASE_METHOD(Fixture, "spans of another size are refused") {
  const auto feed = Make();
  Batch batch(kBatch + 1);
  REQUIRE_STATUS(feed->FillIteration(0, batch.data, batch.labels), absl::StatusCode::kInvalidArgument,
                 "room for 60 values, but 4 samples of shape 1x3x4 need 48");
  Batch right(kBatch);
  REQUIRE_STATUS(feed->FillIteration(0, right.data, batch.labels), absl::StatusCode::kInvalidArgument,
                 "room for 5 labels, but 4 samples");
}

TEST_CASE_METHOD(Fixture, "training feeds fill iterations, test feeds fill ranges") {
  Batch batch(kBatch);
  REQUIRE_STATUS(Make()->FillRange(0, 4, batch.data, batch.labels), absl::StatusCode::kFailedPrecondition, "TRAIN");
  options.phase = caffe::TEST;
  REQUIRE_STATUS(Make()->FillIteration(0, batch.data, batch.labels), absl::StatusCode::kFailedPrecondition, "TEST");
}

TEST_CASE_METHOD(Fixture, "a data set that is not what the job was submitted with is refused") {
  SECTION("other number of records") {
    options.spec.set_records(60'000);
    REQUIRE_STATUS(BatchFeed::Create(options), absl::StatusCode::kFailedPrecondition,
                   "has 25 records here, but had 60000 where the job was submitted");
  }
  SECTION("other shape") {
    options.spec.set_height(28);
    REQUIRE_STATUS(BatchFeed::Create(options), absl::StatusCode::kFailedPrecondition, "1x3x4 here, but were 1x28x4");
  }
}

TEST_CASE_METHOD(Fixture, "what is wrong with the layer or the spec is named with the layer") {
  using absl::StatusCode;
  SECTION("transform") {
    options.data_layer.mutable_transform_param()->set_crop_size(9);
    REQUIRE_STATUS(BatchFeed::Create(options), StatusCode::kInvalidArgument, "data layer \"mnist\": transform_param");
  }
  SECTION("batch") {
    options.spec.set_batch_size(0);
    REQUIRE_STATUS(BatchFeed::Create(options), StatusCode::kInvalidArgument, "\"mnist\": batch_size");
  }
  SECTION("partitions") {
    options.spec.set_partitions(26);
    REQUIRE_STATUS(BatchFeed::Create(options), StatusCode::kInvalidArgument, "partitions is 26");
  }
  SECTION("no data set") {
    options.dataset = nullptr;
    REQUIRE_STATUS(BatchFeed::Create(options), StatusCode::kInvalidArgument, "no data set");
  }
}

TEST_CASE_METHOD(Fixture, "a damaged record ends the batch with its key") {
  options.dataset.reset();
  WriteRecords(path, {{RecordKey(24), "\xff\xff"}});
  auto dataset = Dataset::Open(path);
  REQUIRE_OK(dataset);
  options.dataset = *std::move(dataset);
  options.phase = caffe::TEST;
  Batch batch(25);
  REQUIRE_STATUS(Make()->FillRange(0, 25, batch.data, batch.labels), absl::StatusCode::kDataLoss, "key \"00000024\"");
}

}  // namespace
}  // namespace samovar
