// Records a second of the feed of one data layer: read, decoded, transformed, prefetched and copied to where the net
// would read them, as a worker does it.
//
//     feeding_bench --net layer.prototxt --threads 2 --rounds 5 --seconds 1
//
// Prints one JSON object about the feed, and one a round, flushed; with --wait it waits for a line on standard input
// before each. `images` are records; images_per_cpu_second divides by the processor time of all threads.
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/support/own_time.h"
#include "common/base/status_macros.h"
#include "common/caffe/prototxt.h"
#include "common/storage/storage_table.h"
#include "worker/feed/batch_prefetcher.h"
#include "worker/feed/net_feed.h"
#include "worker/feed/open_reader.h"

ABSL_FLAG(std::string, net, "", "a prototxt with one data layer");
ABSL_FLAG(int, threads, 1, "threads that fill a batch");
ABSL_FLAG(int, rounds, 5, "measurements");
ABSL_FLAG(double, seconds, 1, "length of a measurement");
ABSL_FLAG(int, warm_up, 2, "batches before the first round");
ABSL_FLAG(bool, wait, false, "waits for a line on standard input before each round");
ABSL_FLAG(std::string, write, "", "writes the first batch to this file, float32, and ends");

namespace samovar {
namespace {

using Clock = std::chrono::steady_clock;

// A worker's loop without its net: the batch after the one that was taken is being filled.
class Feeding {
 public:
  explicit Feeding(std::unique_ptr<NetFeed> feed) : batch_size_(feed->batch_size()) {
    for (const size_t elements : feed->BatchElements()) tops_.emplace_back(elements);
    spans_.assign(tops_.begin(), tops_.end());
    batches_ = std::make_unique<BatchPrefetcher>(std::move(feed));
  }

  absl::Status Take() {
    SAMOVAR_RETURN_IF_ERROR(batches_->Take(next_, 0, spans_));
    batches_->Start(++next_, 0);
    return absl::OkStatus();
  }

  absl::Status Write(const std::string& path) {
    SAMOVAR_RETURN_IF_ERROR(Take());
    std::ofstream out(path, std::ios::binary);
    for (const std::vector<float>& top : tops_)
      out.write(reinterpret_cast<const char*>(top.data()), static_cast<std::streamsize>(top.size() * sizeof(float)));
    return out.flush() ? absl::OkStatus() : absl::UnavailableError(absl::StrCat(path, " cannot be written"));
  }

  // The mean of the records that were taken last.
  double Mean() const {
    const double sum = std::accumulate(tops_[0].begin(), tops_[0].end(), 0.0);
    return sum / static_cast<double>(tops_[0].size());
  }

  double batch_size() const { return batch_size_; }

 private:
  const uint32_t batch_size_;
  std::vector<std::vector<float>> tops_;
  std::vector<std::span<float>> spans_;
  std::unique_ptr<BatchPrefetcher> batches_;
  uint64_t next_ = 0;
};

absl::StatusOr<std::unique_ptr<NetFeed>> OpenFeed() {
  const StorageTable storage;
  SAMOVAR_ASSIGN_OR_RETURN(const caffe::NetParameter net, ReadNetFile(absl::GetFlag(FLAGS_net), nullptr, storage));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<const caffe::LayerParameter*> layers, FindFedLayers(net));
  if (layers.size() != 1) return absl::InvalidArgumentError("--net is to have one data layer");
  v1::DatasetSpec data;
  SAMOVAR_ASSIGN_OR_RETURN(const std::string source, SourceOf(*layers[0], storage));
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader,
                           OpenReader(*layers[0], caffe::TRAIN, source, nullptr, storage));
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t batch_size, FeedBatchSize(*layers[0]));
  data.set_layer(layers[0]->name());
  data.set_uri(source);
  data.set_records(reader->size());
  data.set_batch_size(batch_size);
  data.set_partitions(reader->partitions());
  for (const TopShape& top : reader->tops()) data.add_tops()->mutable_shape()->Add(top.begin(), top.end());
  NetFeed::Options options;
  options.seed = 1;
  options.threads = absl::GetFlag(FLAGS_threads);
  return NetFeed::Open(net, data, options);
}

absl::Status Round(int round, Feeding* feeding) {
  // The batch that was made while nobody waited.
  SAMOVAR_RETURN_IF_ERROR(feeding->Take());
  const Clock::time_point start = Clock::now();
  const double cpu_start = CpuSeconds();
  double images = 0, seconds = 0;
  while (seconds < absl::GetFlag(FLAGS_seconds)) {
    SAMOVAR_RETURN_IF_ERROR(feeding->Take());
    images += feeding->batch_size();
    seconds = Seconds(Clock::now() - start);
  }
  std::cout << absl::StrFormat(
                   R"({"system": "samovar", "round": %d, "images_per_second": %.1f, "images_per_cpu_second": %.1f})",
                   round, images / seconds, images / (CpuSeconds() - cpu_start))
            << std::endl;
  return absl::OkStatus();
}

absl::Status Main() {
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<NetFeed> feed, OpenFeed());
  Feeding feeding(std::move(feed));
  if (!absl::GetFlag(FLAGS_write).empty()) return feeding.Write(absl::GetFlag(FLAGS_write));
  for (int i = 0; i < absl::GetFlag(FLAGS_warm_up); ++i) SAMOVAR_RETURN_IF_ERROR(feeding.Take());
  std::cout << absl::StrFormat(R"({"system": "samovar", "version": "-", "threads": %d, "mean": %.2f})",
                               absl::GetFlag(FLAGS_threads), feeding.Mean())
            << std::endl;
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    std::string line;
    if (absl::GetFlag(FLAGS_wait) && !std::getline(std::cin, line)) break;
    SAMOVAR_RETURN_IF_ERROR(Round(round, &feeding));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = samovar::Main();
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
