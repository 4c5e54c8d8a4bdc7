// The factories behind the registry: one a layer type. Each documents its shapes and formulas in its source file.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "worker/nn/layer.h"

namespace samovar {

using LayerOr = absl::StatusOr<std::unique_ptr<Layer>>;

LayerOr CreateAbsValLayer(const LayerContext& context);
LayerOr CreateAccuracyLayer(const LayerContext& context);
LayerOr CreateArgMaxLayer(const LayerContext& context);
LayerOr CreateBatchNormLayer(const LayerContext& context);
LayerOr CreateBiasLayer(const LayerContext& context);
LayerOr CreateBnllLayer(const LayerContext& context);
LayerOr CreateClipLayer(const LayerContext& context);
LayerOr CreateConcatLayer(const LayerContext& context);
LayerOr CreateContrastiveLossLayer(const LayerContext& context);
LayerOr CreateConvolutionLayer(const LayerContext& context);
LayerOr CreateCropLayer(const LayerContext& context);
LayerOr CreateDeconvolutionLayer(const LayerContext& context);
LayerOr CreateDropoutLayer(const LayerContext& context);
LayerOr CreateDummyDataLayer(const LayerContext& context);
LayerOr CreateEltwiseLayer(const LayerContext& context);
LayerOr CreateEluLayer(const LayerContext& context);
LayerOr CreateEmbedLayer(const LayerContext& context);
LayerOr CreateEuclideanLossLayer(const LayerContext& context);
LayerOr CreateExpLayer(const LayerContext& context);
LayerOr CreateFedLayer(const LayerContext& context);
LayerOr CreateFlattenLayer(const LayerContext& context);
LayerOr CreateHingeLossLayer(const LayerContext& context);
LayerOr CreateInfogainLossLayer(const LayerContext& context);
LayerOr CreateInnerProductLayer(const LayerContext& context);
LayerOr CreateInputLayer(const LayerContext& context);
LayerOr CreateLogLayer(const LayerContext& context);
LayerOr CreateLrnLayer(const LayerContext& context);
LayerOr CreateMultinomialLogisticLossLayer(const LayerContext& context);
LayerOr CreateMvnLayer(const LayerContext& context);
LayerOr CreateParameterLayer(const LayerContext& context);
LayerOr CreatePoolingLayer(const LayerContext& context);
LayerOr CreatePowerLayer(const LayerContext& context);
LayerOr CreatePReluLayer(const LayerContext& context);
LayerOr CreateReductionLayer(const LayerContext& context);
LayerOr CreateReluLayer(const LayerContext& context);
LayerOr CreateReshapeLayer(const LayerContext& context);
LayerOr CreateScaleLayer(const LayerContext& context);
LayerOr CreateSigmoidCrossEntropyLossLayer(const LayerContext& context);
LayerOr CreateSigmoidLayer(const LayerContext& context);
LayerOr CreateSilenceLayer(const LayerContext& context);
LayerOr CreateSliceLayer(const LayerContext& context);
LayerOr CreateSoftmaxLayer(const LayerContext& context);
LayerOr CreateSoftmaxLossLayer(const LayerContext& context);
LayerOr CreateSplitLayer(const LayerContext& context);
LayerOr CreateSwishLayer(const LayerContext& context);
LayerOr CreateTanhLayer(const LayerContext& context);
LayerOr CreateThresholdLayer(const LayerContext& context);
LayerOr CreateTileLayer(const LayerContext& context);

}  // namespace samovar
