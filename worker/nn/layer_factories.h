// The factories behind the registry: one a layer type. Each documents its shapes and formulas in its source file.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "worker/nn/layer.h"

namespace samovar {

using LayerOr = absl::StatusOr<std::unique_ptr<Layer>>;

LayerOr CreateAccuracyLayer(const LayerContext& context);
LayerOr CreateConvolutionLayer(const LayerContext& context);
LayerOr CreateFedLayer(const LayerContext& context);
LayerOr CreateInputLayer(const LayerContext& context);
LayerOr CreateInnerProductLayer(const LayerContext& context);
LayerOr CreatePoolingLayer(const LayerContext& context);
LayerOr CreateReluLayer(const LayerContext& context);
LayerOr CreateSoftmaxLayer(const LayerContext& context);
LayerOr CreateSoftmaxLossLayer(const LayerContext& context);
LayerOr CreateSplitLayer(const LayerContext& context);

}  // namespace samovar
