// Every layer type that is offered, by the name it has in prototxts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/nn/engine.h"
#include "worker/nn/layer.h"

namespace samovar {

// Checks the layer's fields and makes it. UNIMPLEMENTED: the type, or a field that it sets, is not offered (the message
// lists those that are); INVALID_ARGUMENT: fields, number of blobs or shapes are wrong. Messages begin with the layer's
// name and type, and its bottoms with their shapes.
absl::StatusOr<std::unique_ptr<Layer>> CreateLayer(const LayerContext& context);

// Makes the checks of CreateLayer that need no bottoms' shapes: the type, its fields' names, the number of blobs. The
// same errors, without the shapes.
absl::Status CheckLayer(const caffe::LayerParameter& layer);

// Fields of the layer that belong to layers of other types, and have no effect, as in Caffe: "loss_param" in an
// EuclideanLoss.
SAMOVAR_ENGINE_API std::vector<std::string> UnusedFields(const caffe::LayerParameter& layer);

// "Accuracy, Convolution, ..."
SAMOVAR_ENGINE_API std::string OfferedLayerTypes();

}  // namespace samovar
