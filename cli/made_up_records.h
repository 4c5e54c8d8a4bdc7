// Records of a given shape instead of data, for commands that run a net without its data.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "samovar/v1/job.pb.h"
#include "worker/nn/net.h"

namespace samovar {

// Data for the net's data layers: `shapes`, "CxHxW", is one for each, or one for all, with commas between; further tops
// are labels. INVALID_ARGUMENT names the flag, --shape.
absl::StatusOr<v1::DatasetSpec> MadeUpRecords(const caffe::NetParameter& param, const std::string& shapes);

// Values as weights of a net in training might be; zeros would let layers skip work.
void FillMadeUpWeights(Net* net);
// Values from 0 to 1 in the first data layer's records, and in those of layers that have no data; labels stay 0.
void FillMadeUpInputs(const v1::DatasetSpec& data, Net* net);

}  // namespace samovar
