// Layers whose tops come from outside: from a data set, or from the net's caller.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "caffe.pb.h"
#include "worker/nn/engine.h"
#include "worker/nn/shape.h"

namespace samovar {

// Data, HDF5Data, ImageData, MemoryData: a feed fills their tops with records.
SAMOVAR_ENGINE_API bool IsFedType(absl::string_view type);

// Records of a batch, as the layer says. REQUIRES: IsFedType(layer.type())
// INVALID_ARGUMENT: it says none, or more than 2^24; the message names the field.
SAMOVAR_ENGINE_API absl::StatusOr<int> BatchSizeOf(const caffe::LayerParameter& layer);

}  // namespace samovar
