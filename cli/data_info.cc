#include <algorithm>
#include <iostream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/record_progress.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"

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

absl::StatusOr<std::string> Describe(const std::string& path) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::shared_ptr<Dataset> dataset, Dataset::Open(path));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string labels, DescribeLabels(*dataset));
  return absl::StrCat("records  ", dataset->size(), "\nshape    ", ToString(dataset->shape()),
                      " (channels x height x width)", dataset->encoded() ? " of the first; encoded (JPEG or PNG)" : "",
                      "\nlabels   ", labels, "\n");
}

}  // namespace

int RunDataInfo(const DataInfoOptions& options) {
  const absl::StatusOr<std::string> description = Describe(options.path);
  if (!description.ok()) {
    PrintError(description.status().message());
    return kExitUsage;
  }
  std::cout << *description;
  return kExitOk;
}

}  // namespace samovar
