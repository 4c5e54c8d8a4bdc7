#include "worker/train/batch_prefetcher.h"

#include <memory>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/worker/train/small_job.h"
#include "worker/train/fed_net.h"

namespace samovar {
namespace {

constexpr size_t kValues = kBatch * kSide * kSide;

std::unique_ptr<BatchFeed> MakeFeed(const v1::JobSpec& spec) {
  auto fed = OpenFedNet(spec.train_net(), caffe::TRAIN, spec.train_data(), spec.train_outputs(), spec.seed(), nullptr);
  REQUIRE_OK(fed);
  return std::move(fed->feed);
}

TEST_CASE("a batch is the feed's own, whether it was started before or not, or another was") {
  TempDir dir;
  const v1::JobSpec spec = MakeJob(dir.path());
  const auto feed = MakeFeed(spec);
  BatchPrefetcher batches(MakeFeed(spec), kValues, kBatch);
  std::vector<float> data(kValues), labels(kBatch), expected_data(kValues), expected_labels(kBatch);
  for (uint64_t t : {0, 1, 2, 7, 7, 3}) {
    REQUIRE_OK(batches.Take(t, data, labels));
    REQUIRE_OK(feed->FillIteration(t, expected_data, expected_labels));
    REQUIRE(data == expected_data);
    REQUIRE(labels == expected_labels);
    // Right for the second and third, wrong for the others.
    batches.Start(t + 1);
  }
}

TEST_CASE("a batch that nobody takes does not hold up the end") {
  TempDir dir;
  BatchPrefetcher batches(MakeFeed(MakeJob(dir.path())), kValues, kBatch);
  batches.Start(5);
  batches.Start(6);
}

TEST_CASE("the feed's error comes with its batch, and the next batch is filled again") {
  TempDir dir;
  v1::JobSpec spec = MakeJob(dir.path());
  {
    auto environment = LmdbEnvironment::Open(spec.train_data().uri(), {});
    REQUIRE_OK(environment);
    REQUIRE_OK((*environment)->Write([](LmdbTransaction& transaction) { return transaction.Put("00000050", "rubbish"); }));
  }
  BatchPrefetcher batches(MakeFeed(spec), kValues, kBatch);
  std::vector<float> data(kValues), labels(kBatch);
  int good = 0;
  int damaged = 0;
  // Nine and a half batches are an epoch: one of them or two have the record.
  for (uint64_t t = 0; t < 10; ++t) {
    const absl::Status taken = batches.Take(t, data, labels);
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
