#include "worker/feed/batch_prefetcher.h"

#include <memory>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/worker/train/small_job.h"
#include "worker/train/fed_net.h"

namespace samovar {
namespace {

constexpr size_t kValues = kBatch * kSide * kSide;

std::unique_ptr<NetFeed> MakeFeed(const v1::JobSpec& spec) {
  auto fed =
      OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(), NetMeans());
  REQUIRE_OK(fed);
  return std::move(fed->feed);
}

TEST_CASE("a batch is the feed's own, whether it was started before or not, or another was") {
  TempDir dir;
  const v1::JobSpec spec = MakeJob(dir.path());
  const auto feed = MakeFeed(spec);
  BatchPrefetcher batches(MakeFeed(spec));
  std::vector<float> data(kValues), labels(kBatch), expected_data(kValues), expected_labels(kBatch);
  const std::vector<std::span<float>> tops = {data, labels}, expected_tops = {expected_data, expected_labels};
  for (uint64_t t : {0, 1, 2, 7, 7, 3}) {
    REQUIRE_OK(batches.Take(t, 0, tops));
    REQUIRE_OK(feed->FillIteration(t, 0, expected_tops));
    REQUIRE(data == expected_data);
    REQUIRE(labels == expected_labels);
    // Right for the second and third, wrong for the others.
    batches.Start(t + 1, 0);
  }
}

TEST_CASE("the batches of an iteration are, together, the one batch of an iteration as large as all") {
  TempDir dir;
  const v1::JobSpec spec = MakeJob(dir.path());
  const auto feed_of = [&](uint32_t batch, uint32_t parts) {
    v1::DatasetSpec data = spec.train_data();
    data.set_batch_size(batch);
    caffe::NetParameter net = spec.train_net();
    net.mutable_layer(0)->mutable_data_param()->set_batch_size(batch);
    auto fed = OpenFedNet(net, caffe::TRAIN, data, spec.train_outputs(), spec.seed(), NetMeans(), parts);
    REQUIRE_OK(fed);
    return std::move(fed->feed);
  };
  std::vector<float> whole(kValues), whole_labels(kBatch), part(kValues / 2), part_labels(kBatch / 2), joined,
      joined_labels;
  BatchPrefetcher one(feed_of(kBatch, 1));
  REQUIRE_OK(one.Take(3, 0, std::vector<std::span<float>>{whole, whole_labels}));
  BatchPrefetcher two(feed_of(kBatch / 2, 2));
  for (uint32_t i = 0; i < 2; ++i) {
    REQUIRE_OK(two.Take(3, i, std::vector<std::span<float>>{part, part_labels}));
    joined.insert(joined.end(), part.begin(), part.end());
    joined_labels.insert(joined_labels.end(), part_labels.begin(), part_labels.end());
  }
  REQUIRE(joined == whole);
  REQUIRE(joined_labels == whole_labels);
  REQUIRE_STATUS(two.Take(3, 2, std::vector<std::span<float>>{part, part_labels}), absl::StatusCode::kInvalidArgument,
                 "no batch 2");
}

TEST_CASE("without a feed batches are empty") {
  BatchPrefetcher batches(nullptr);
  batches.Start(1, 0);
  REQUIRE_OK(batches.Take(1, 0, {}));
}

TEST_CASE("a batch that nobody takes does not hold up the end") {
  TempDir dir;
  BatchPrefetcher batches(MakeFeed(MakeJob(dir.path())));
  batches.Start(5, 0);
  batches.Start(6, 0);
}

TEST_CASE("the feed's error comes with its batch, and the next batch is filled again") {
  TempDir dir;
  v1::JobSpec spec = MakeJob(dir.path());
  {
    auto environment = LmdbEnvironment::Open(spec.train_data().uri(), {});
    REQUIRE_OK(environment);
    REQUIRE_OK(
        (*environment)->Write([](LmdbTransaction& transaction) { return transaction.Put("00000050", "rubbish"); }));
  }
  BatchPrefetcher batches(MakeFeed(spec));
  std::vector<float> data(kValues), labels(kBatch);
  int good = 0;
  int damaged = 0;
  // Nine and a half batches are an epoch: one of them or two have the record.
  for (uint64_t t = 0; t < 10; ++t) {
    const absl::Status taken = batches.Take(t, 0, std::vector<std::span<float>>{data, labels});
    if (taken.ok()) {
      ++good;
    } else {
      REQUIRE_STATUS(taken, absl::StatusCode::kDataLoss, "00000050");
      ++damaged;
    }
  }
  REQUIRE(good >= 8);
  REQUIRE(damaged >= 1);
}

}  // namespace
}  // namespace samovar
