#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/report/exit_codes.h"
#include "cli/report/progress.h"
#include "cli/report/record_progress.h"
#include "common/base/status_macros.h"
#include "common/base/thread_pool.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/data/partition_cut.h"
#include "worker/feed/remote_partitions.h"

namespace samovar {
namespace {

// Sets with more labels than this are described by their first and last one.
constexpr size_t kMaxLabelsListed = 20;
constexpr uint64_t kRecordsPerProgress = 10'000;

// The labels and the sizes of all records.
struct Records {
  std::map<int, uint64_t> labels;
  RecordShape least, most;

  void Add(int label, const RecordShape& shape) {
    ++labels[label];
    least.height = std::min(least.height, shape.height);
    least.width = std::min(least.width, shape.width);
    most.height = std::max(most.height, shape.height);
    most.width = std::max(most.width, shape.width);
  }
};

// Reads every record, which checks it too; the images of encoded ones only if `decode`.
absl::StatusOr<Records> ReadAll(const Dataset& dataset, bool decode) {
  struct Read {
    absl::Status status;
    int label = 0;
    RecordShape shape;
  };
  ThreadPool pool(static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u)));
  std::vector<caffe::Datum> datums(static_cast<size_t>(pool.threads()));
  std::vector<Read> reads;
  Records records;
  records.least = records.most = dataset.shape();
  const auto progress = RecordProgress();
  const bool shapes = decode || !dataset.encoded();
  const PartitionCut cut = {dataset.size(), dataset.partitions()};
  for (uint64_t begin = 0; begin < dataset.size(); begin += reads.size()) {
    // In one partition: with a source of partitions one at a time is open.
    const uint32_t partition = cut.Of(begin);
    const uint64_t end = cut.Begin(partition) + cut.Size(partition);
    reads.assign(std::min(kRecordsPerProgress, end - begin), Read());
    pool.ParallelFor(static_cast<int64_t>(reads.size()), [&](int64_t i, int thread) {
      caffe::Datum& datum = datums[static_cast<size_t>(thread)];
      Read& read = reads[static_cast<size_t>(i)];
      const uint64_t position = begin + static_cast<uint64_t>(i);
      read.status = decode ? dataset.Read(position, &datum) : dataset.ReadStored(position, &datum);
      read.label = datum.label();
      read.shape = shapes ? RecordShape{datum.channels(), datum.height(), datum.width()} : dataset.shape();
    });
    for (const Read& read : reads) {
      SAMOVAR_RETURN_IF_ERROR(read.status);
      records.Add(read.label, read.shape);
    }
    if (progress) progress(begin + reads.size(), dataset.size());
  }
  return records;
}

std::string DescribeLabels(const std::map<int, uint64_t>& counts) {
  if (counts.size() <= kMaxLabelsListed) return absl::StrJoin(counts, ", ", absl::PairFormatter(": "));
  return absl::StrCat(counts.size(), " labels from ", counts.begin()->first, " to ", counts.rbegin()->first);
}

std::string DescribeSizes(const Records& records) {
  if (records.least == records.most) return "";
  return absl::StrCat("sizes    from ", records.least.height, " to ", records.most.height, " high and from ",
                      records.least.width, " to ", records.most.width,
                      " wide; a net needs one: set crop_size in its transform_param\n");
}

// Reads all files of a partitioned set.
absl::Status Verify(const std::string& set, const v1::DatasetManifest& manifest, const StorageTable& storage) {
  const auto progress = RecordProgress();
  uint64_t records = 0;
  for (const v1::DatasetPartition& partition : manifest.partitions()) {
    SAMOVAR_RETURN_IF_ERROR(ReadPartition(
        set, partition, [](absl::string_view) { return absl::OkStatus(); }, storage));
    records += partition.records();
    if (progress) progress(records, manifest.records());
  }
  return absl::OkStatus();
}

std::string DescribePartitions(const v1::DatasetManifest& manifest, bool verified) {
  const uint64_t most = manifest.partitions(0).records();
  const uint64_t least = manifest.partitions().rbegin()->records();
  return absl::StrCat(
      "stored   in ", manifest.partitions_size(), manifest.partitions_size() == 1 ? " partition" : " partitions",
      " of ", least == most ? "" : absl::StrCat(least, " to "), most, " records, ",
      FormatBytes(static_cast<double>(BytesOf(manifest))), verified ? "; all sizes and checksums are right" : "", "\n");
}

absl::StatusOr<std::string> Describe(const DataInfoOptions& options) {
  // One partition after the other of a set in a storage is fetched, and older ones make room.
  RemotePartitions partitions(options.storage);
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Dataset> dataset,
                           Dataset::Open(options.path, options.storage, &partitions));
  const v1::DatasetManifest* const manifest = dataset->manifest();
  if (options.verify && manifest == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.path, ": is an LMDB, which has no checksums; only partitioned sets can be verified"));
  }
  // Before the records: a checksum tells more surely that a file is damaged.
  if (options.verify) SAMOVAR_RETURN_IF_ERROR(Verify(dataset->path(), *manifest, options.storage));
  SAMOVAR_ASSIGN_OR_RETURN(const Records records, ReadAll(*dataset, !options.quick));
  return absl::StrCat("records  ", dataset->size(), "\nshape    ", ToString(dataset->shape()),
                      " (channels x height x width)", dataset->encoded() ? " of the first; encoded (JPEG or PNG)" : "",
                      "\n", DescribeSizes(records), "labels   ", DescribeLabels(records.labels), "\n",
                      manifest == nullptr ? "" : DescribePartitions(*manifest, options.verify));
}

}  // namespace

int RunDataInfo(const DataInfoOptions& options) {
  const absl::StatusOr<std::string> description = Describe(options);
  if (!description.ok()) {
    PrintError(description.status().message());
    return kExitUsage;
  }
  std::cout << *description;
  return kExitOk;
}

}  // namespace samovar
