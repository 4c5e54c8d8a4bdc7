#include "common/import/dataset_mean.h"

#include "absl/strings/escaping.h"
#include "common/import/image_encoder.h"
#include "tests/common/data/golden_images.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr RecordShape kShape{2, 3, 5};

struct Fixture {
  absl::StatusOr<DatasetMean> Compute() {
    auto dataset = Dataset::Open(path, StorageTable());
    REQUIRE_OK(dataset);
    return ComputeMean(**dataset, progress);
  }

  // Adds an encoded record of one colour, or gray.
  void WriteEncoded(const std::string& key, const RecordShape& shape, char value) {
    caffe::Datum datum;
    datum.set_encoded(true);
    datum.set_data(*EncodeImage({shape, std::string(shape.elements(), value)}, ImageFormat::kPng));
    WriteRecords(path, {{key, datum.SerializeAsString()}});
  }

  TempDir directory;
  std::string path = directory.File("set");
  std::function<void(uint64_t, uint64_t)> progress;
};

// As Caffe's compute_image_mean: sums of floats, divided by the number of records.
template <class Value>
std::vector<float> CaffesMean(int records, Value value) {
  std::vector<float> sums(kShape.elements());
  for (int i = 0; i < records; ++i) {
    for (size_t j = 0; j < sums.size(); ++j) sums[j] += static_cast<float>(value(i, j));
  }
  for (float& sum : sums) sum /= static_cast<float>(records);
  return sums;
}

TEST_CASE_METHOD(Fixture, "the mean of bytes is Caffe's to the bit, in the form in which Caffe writes it") {
  for (const int records : {1, 3, 700}) {
    path = directory.File(std::to_string(records));
    WriteDataset(path, kShape, records);
    const auto mean = Compute();
    REQUIRE_OK(mean);
    const caffe::BlobProto& blob = mean->blob;
    REQUIRE(blob.num() == 1);
    REQUIRE(RecordShape{blob.channels(), blob.height(), blob.width()} == kShape);
    REQUIRE_FALSE(blob.has_shape());
    const std::vector<float> expected =
        CaffesMean(records, [](int i, size_t j) { return (static_cast<size_t>(i) + j) % 256; });
    REQUIRE(std::vector<float>(blob.data().begin(), blob.data().end()) == expected);
    REQUIRE(mean->channel_means.size() == 2);
    for (size_t c = 0; c < 2; ++c) {
      double sum = 0;
      for (size_t j = 0; j < 15; ++j) sum += expected[15 * c + j];
      REQUIRE(mean->channel_means[c] == Approx(sum / 15).epsilon(1e-6));
    }
  }
}

TEST_CASE_METHOD(Fixture, "the mean of more than a float can count is still exact") {
  // Floats have no odd numbers beyond 2^24: a sum of floats would stay there, whatever ones are added.
  constexpr int kFirst = 1 << 24;
  std::vector<std::pair<std::string, std::string>> records;
  for (uint64_t i = 0; i < 101; ++i) {
    caffe::Datum datum = MakeDatum({1, 1, 1}, 0, 0);
    datum.clear_data();
    datum.add_float_data(i == 0 ? kFirst : 1);
    records.emplace_back(RecordKey(i), datum.SerializeAsString());
  }
  WriteRecords(path, records);
  const auto mean = Compute();
  REQUIRE_OK(mean);
  REQUIRE(mean->blob.data(0) == static_cast<float>((kFirst + 100) / 101.0));
}

TEST_CASE_METHOD(Fixture, "float_data has a mean, too") {
  std::vector<std::pair<std::string, std::string>> records;
  for (int i = 0; i < 4; ++i) {
    caffe::Datum datum = MakeDatum(kShape, 0, 0);
    datum.clear_data();
    for (size_t j = 0; j < kShape.elements(); ++j)
      datum.add_float_data(0.25f * static_cast<float>(i) - static_cast<float>(j));
    records.emplace_back(RecordKey(static_cast<uint64_t>(i)), datum.SerializeAsString());
  }
  WriteRecords(path, records);
  const auto mean = Compute();
  REQUIRE_OK(mean);
  for (size_t j = 0; j < kShape.elements(); ++j)
    REQUIRE(mean->blob.data(static_cast<int>(j)) == 0.375f - static_cast<float>(j));
}

TEST_CASE_METHOD(Fixture, "encoded records are decoded first, in their own channels") {
  WriteEncoded("a", {3, 2, 4}, '\x10');
  WriteEncoded("b", {3, 2, 4}, '\x21');
  const auto mean = Compute();
  REQUIRE_OK(mean);
  REQUIRE(mean->blob.channels() == 3);
  REQUIRE(mean->blob.data_size() == 24);
  for (const float value : mean->blob.data()) REQUIRE(value == 24.5f);
  REQUIRE(mean->channel_means == std::vector<double>{24.5, 24.5, 24.5});
}

TEST_CASE_METHOD(Fixture, "a record that differs from the first, or is damaged, is refused by key") {
  WriteEncoded("a", {3, 2, 4}, '\x10');
  SECTION("size") {
    WriteEncoded("b", {3, 4, 2}, '\x10');
    REQUIRE_STATUS(Compute(), absl::StatusCode::kInvalidArgument, "key \"b\": is 3x4x2, but the first record is 3x2x4");
  }
  SECTION("channels") {
    WriteEncoded("b", {1, 2, 4}, '\x10');
    REQUIRE_STATUS(Compute(), absl::StatusCode::kInvalidArgument,
                   "key \"b\": has 1 channels, but the first record has 3");
  }
  SECTION("truncated") {
    caffe::Datum datum;
    datum.set_encoded(true);
    datum.set_data(absl::HexStringToBytes(kJpeg.file).substr(0, 300));
    WriteRecords(path, {{"b", datum.SerializeAsString()}});
    REQUIRE_STATUS(Compute(), absl::StatusCode::kDataLoss, "key \"b\": the JPEG is damaged");
  }
}

TEST_CASE_METHOD(Fixture, "the progress of a mean is told up to the last record") {
  WriteDataset(path, {1, 1, 1}, 2500);
  std::vector<uint64_t> told;
  progress = [&](uint64_t done, uint64_t total) {
    REQUIRE(total == 2500);
    told.push_back(done);
  };
  REQUIRE_OK(Compute());
  REQUIRE(told == std::vector<uint64_t>{1000, 2000, 2500});
}

}  // namespace
}  // namespace samovar
