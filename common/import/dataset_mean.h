// The mean of a data set's records, pixel by pixel, for the mean_file of a transform_param.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "common/data/dataset.h"

namespace samovar {

struct DatasetMean {
  // num 1, channels, height and width of the records, as Caffe writes it.
  caffe::BlobProto blob;
  std::vector<double> channel_means;
};

// Reads all records, and decodes those that are encoded as they are stored. `progress` may be empty.
// Errors of Dataset::Read. INVALID_ARGUMENT: a record has another size than the first.
absl::StatusOr<DatasetMean> ComputeMean(const Dataset& dataset,
                                        const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace samovar
