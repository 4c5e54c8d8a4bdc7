// From the flat parameter vector to a Caffe model.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "caffe.pb.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

// The net with the weights as blobs of its layers, as Caffe saves them: ready to be written as a .caffemodel. A blob
// that layers share stands in each of them. INVALID_ARGUMENT if the layout names a layer that the net lacks, or the
// number of weights is not the layout's. REQUIRES: the layout's shared parameters are blobs of it (CheckLayout)
absl::StatusOr<caffe::NetParameter> MakeModel(const caffe::NetParameter& net, const v1::ParameterLayout& layout,
                                              std::span<const float> weights);

}  // namespace samovar
