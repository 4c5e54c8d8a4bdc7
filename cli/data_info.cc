#include <algorithm>
#include <iostream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/progress.h"
#include "cli/record_progress.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"

namespace samovar {
namespace {

// Sets with more labels than this are described by their first and last one.
constexpr size_t kMaxLabelsListed = 20;
constexpr uint64_t kRecordsPerProgress = 10'000;

absl::StatusOr<std::string> DescribeLabels(const Dataset& dataset) {
  std::map<int, uint64_t> counts;
  caffe::Datum datum;
  const auto progress = RecordProgress();
  // Reads every record, which checks it too, but for the pixels of encoded ones.
  for (uint64_t position = 0; position < dataset.size(); ++position) {
    SAMOVAR_RETURN_IF_ERROR(dataset.ReadStored(position, &datum));
    ++counts[datum.label()];
    const uint64_t done = position + 1;
    if (progress && (done % kRecordsPerProgress == 0 || done == dataset.size())) progress(done, dataset.size());
  }
  if (counts.size() <= kMaxLabelsListed) return absl::StrJoin(counts, ", ", absl::PairFormatter(": "));
  return absl::StrCat(counts.size(), " labels from ", counts.begin()->first, " to ", counts.rbegin()->first);
}

// Reads all files of a partitioned set.
absl::Status Verify(const std::string& set, const v1::DatasetManifest& manifest) {
  const auto progress = RecordProgress();
  uint64_t records = 0;
  for (const v1::DatasetPartition& partition : manifest.partitions()) {
    SAMOVAR_RETURN_IF_ERROR(ReadPartition(set, partition, [](absl::string_view) { return absl::OkStatus(); }));
    records += partition.records();
    if (progress) progress(records, manifest.records());
  }
  return absl::OkStatus();
}

std::string DescribePartitions(const v1::DatasetManifest& manifest, bool verified) {
  const uint64_t most = manifest.partitions(0).records();
  const uint64_t least = manifest.partitions().rbegin()->records();
  return absl::StrCat("stored   in ", manifest.partitions_size(), manifest.partitions_size() == 1 ? " partition" : " partitions", " of ",
                      least == most ? "" : absl::StrCat(least, " to "), most, " records, ",
                      FormatBytes(static_cast<double>(BytesOf(manifest))),
                      verified ? "; all sizes and checksums are right" : "", "\n");
}

absl::StatusOr<std::string> Describe(const DataInfoOptions& options) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Dataset> dataset, Dataset::Open(options.path));
  const v1::DatasetManifest* const manifest = dataset->manifest();
  if (options.verify && manifest == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.path, ": is an LMDB, which has no checksums; only partitioned sets can be verified"));
  }
  // Before the records: a checksum tells more surely that a file is damaged.
  if (options.verify) SAMOVAR_RETURN_IF_ERROR(Verify(options.path, *manifest));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string labels, DescribeLabels(*dataset));
  return absl::StrCat("records  ", dataset->size(), "\nshape    ", ToString(dataset->shape()),
                      " (channels x height x width)", dataset->encoded() ? " of the first; encoded (JPEG or PNG)" : "",
                      "\nlabels   ", labels, "\n", manifest == nullptr ? "" : DescribePartitions(*manifest, options.verify));
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
