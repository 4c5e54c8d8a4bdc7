#include "worker/nn/layer_registry.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"
#include "common/model/filler.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

struct LayerType {
  absl::string_view name;
  LayerOr (*create)(const LayerContext&);
  // Messages of LayerParameter that belong to the type; empty if fewer.
  absl::string_view param;
  absl::string_view second_param;
  int min_bottoms;
  int max_bottoms;
  int min_tops;
  int max_tops;
};

constexpr int kAnyNumber = 1 << 20;

// Sorted by name.
constexpr LayerType kTypes[] = {
    {"AbsVal", CreateAbsValLayer, "", "", 1, 1, 1, 1},
    {"Accuracy", CreateAccuracyLayer, "accuracy_param", "", 2, 2, 1, 2},
    {"ArgMax", CreateArgMaxLayer, "argmax_param", "", 1, 1, 1, 1},
    {"BatchNorm", CreateBatchNormLayer, "batch_norm_param", "", 1, 1, 1, 1},
    {"Bias", CreateBiasLayer, "bias_param", "", 1, 2, 1, 1},
    {"BNLL", CreateBnllLayer, "", "", 1, 1, 1, 1},
    {"Clip", CreateClipLayer, "clip_param", "", 1, 1, 1, 1},
    {"Concat", CreateConcatLayer, "concat_param", "", 1, kAnyNumber, 1, 1},
    {"ContrastiveLoss", CreateContrastiveLossLayer, "contrastive_loss_param", "", 3, 3, 1, 1},
    {"Convolution", CreateConvolutionLayer, "convolution_param", "", 1, 1, 1, 1},
    {"Crop", CreateCropLayer, "crop_param", "", 2, 2, 1, 1},
    {"Data", CreateFedLayer, "data_param", "transform_param", 0, 0, 1, 2},
    {"Deconvolution", CreateDeconvolutionLayer, "convolution_param", "", 1, 1, 1, 1},
    {"Dropout", CreateDropoutLayer, "dropout_param", "", 1, 1, 1, 1},
    {"DummyData", CreateDummyDataLayer, "dummy_data_param", "", 0, 0, 1, kAnyNumber},
    {"Eltwise", CreateEltwiseLayer, "eltwise_param", "", 2, kAnyNumber, 1, 1},
    {"ELU", CreateEluLayer, "elu_param", "", 1, 1, 1, 1},
    {"Embed", CreateEmbedLayer, "embed_param", "", 1, 1, 1, 1},
    {"EuclideanLoss", CreateEuclideanLossLayer, "", "", 2, 2, 1, 1},
    {"Exp", CreateExpLayer, "exp_param", "", 1, 1, 1, 1},
    {"Flatten", CreateFlattenLayer, "flatten_param", "", 1, 1, 1, 1},
    {"HDF5Data", CreateFedLayer, "hdf5_data_param", "", 0, 0, 1, kAnyNumber},
    {"HingeLoss", CreateHingeLossLayer, "hinge_loss_param", "", 2, 2, 1, 1},
    {"ImageData", CreateFedLayer, "image_data_param", "transform_param", 0, 0, 1, 2},
    {"InfogainLoss", CreateInfogainLossLayer, "infogain_loss_param", "loss_param", 2, 3, 1, 2},
    {"InnerProduct", CreateInnerProductLayer, "inner_product_param", "", 1, 1, 1, 1},
    {"Input", CreateInputLayer, "input_param", "", 0, 0, 1, kAnyNumber},
    {"Log", CreateLogLayer, "log_param", "", 1, 1, 1, 1},
    {"LRN", CreateLrnLayer, "lrn_param", "", 1, 1, 1, 1},
    {"MemoryData", CreateFedLayer, "memory_data_param", "transform_param", 0, 0, 1, 2},
    {"MultinomialLogisticLoss", CreateMultinomialLogisticLossLayer, "", "", 2, 2, 1, 1},
    {"MVN", CreateMvnLayer, "mvn_param", "", 1, 1, 1, 1},
    {"Parameter", CreateParameterLayer, "parameter_param", "", 0, 0, 1, 1},
    {"Pooling", CreatePoolingLayer, "pooling_param", "", 1, 1, 1, 2},
    {"Power", CreatePowerLayer, "power_param", "", 1, 1, 1, 1},
    {"PReLU", CreatePReluLayer, "prelu_param", "", 1, 1, 1, 1},
    {"Reduction", CreateReductionLayer, "reduction_param", "", 1, 1, 1, 1},
    {"ReLU", CreateReluLayer, "relu_param", "", 1, 1, 1, 1},
    {"Reshape", CreateReshapeLayer, "reshape_param", "", 1, 1, 1, 1},
    {"Scale", CreateScaleLayer, "scale_param", "", 1, 2, 1, 1},
    {"Sigmoid", CreateSigmoidLayer, "sigmoid_param", "", 1, 1, 1, 1},
    {"SigmoidCrossEntropyLoss", CreateSigmoidCrossEntropyLossLayer, "loss_param", "", 2, 2, 1, 1},
    {"Silence", CreateSilenceLayer, "", "", 1, kAnyNumber, 0, 0},
    {"Slice", CreateSliceLayer, "slice_param", "", 1, 1, 1, kAnyNumber},
    {"Softmax", CreateSoftmaxLayer, "softmax_param", "", 1, 1, 1, 1},
    {"SoftmaxWithLoss", CreateSoftmaxLossLayer, "loss_param", "softmax_param", 2, 2, 1, 2},
    {"Split", CreateSplitLayer, "", "", 1, 1, 1, kAnyNumber},
    {"Swish", CreateSwishLayer, "swish_param", "", 1, 1, 1, 1},
    {"TanH", CreateTanhLayer, "tanh_param", "", 1, 1, 1, 1},
    {"Threshold", CreateThresholdLayer, "threshold_param", "", 1, 1, 1, 1},
    {"Tile", CreateTileLayer, "tile_param", "", 1, 1, 1, 1},
};

const LayerType* Find(absl::string_view name) {
  for (const LayerType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

// `layer "conv1" (Convolution), bottom "data" [64, 1, 28, 28]`
std::string Describe(const LayerContext& context) {
  const caffe::LayerParameter& param = context.param;
  std::string text = absl::StrCat("layer \"", param.name(), "\" (", param.type(), ")");
  for (int i = 0; i < param.bottom_size(); ++i) {
    absl::StrAppend(&text, i == 0 ? ", bottom " : " and ", "\"", context.bottom_names[static_cast<size_t>(i)], "\" ",
                    ToString(context.bottoms[static_cast<size_t>(i)]));
  }
  return text;
}

std::string CountText(int min, int max) {
  if (max == kAnyNumber) return absl::StrCat(min, " or more");
  return min == max ? absl::StrCat(min) : absl::StrCat(min, " or ", max);
}

absl::Status CheckBlobs(const LayerType& type, const caffe::LayerParameter& param) {
  if (param.bottom_size() < type.min_bottoms || param.bottom_size() > type.max_bottoms) {
    return absl::InvalidArgumentError(absl::StrCat("it has ", param.bottom_size(), " bottoms and needs ",
                                                   CountText(type.min_bottoms, type.max_bottoms)));
  }
  if (param.top_size() < type.min_tops || param.top_size() > type.max_tops) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", param.top_size(), " tops and needs ", CountText(type.min_tops, type.max_tops)));
  }
  return absl::OkStatus();
}

absl::Status CheckText(const LayerType& type, const caffe::LayerParameter& param) {
  caffe::LayerParameter used = param;
  for (const std::string& field : UnusedFields(used))
    used.GetReflection()->ClearField(&used, used.GetDescriptor()->FindFieldByName(field));
  SAMOVAR_RETURN_IF_ERROR(CheckFields(used, "",
                                      {"name", "type", "bottom", "top", "loss_weight", "param", "phase",
                                       "propagate_down", type.param, type.second_param, "source_class"}));
  return CheckBlobs(type, param);
}

absl::StatusOr<std::unique_ptr<Layer>> Create(const LayerType& type, const LayerContext& context) {
  SAMOVAR_RETURN_IF_ERROR(CheckText(type, context.param));
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<Layer> layer, type.create(context));
  for (const Shape& shape : layer->top_shapes()) SAMOVAR_RETURN_IF_ERROR(CheckShape(shape));
  for (const v1::ParameterBlob& blob : layer->parameters()) {
    SAMOVAR_RETURN_IF_ERROR(CheckShape(Shape(blob.shape().begin(), blob.shape().end())));
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckFiller(blob), absl::StrCat("parameter ", blob.index())));
  }
  return layer;
}

absl::Status UnknownType(const caffe::LayerParameter& param) {
  std::vector<std::string> types;
  for (const LayerType& type : kTypes) types.emplace_back(type.name);
  return absl::UnimplementedError(absl::StrCat("layer \"", param.name(), "\": type \"", param.type(),
                                               "\" is not offered; there are ", OfferedLayerTypes(),
                                               DidYouMean(param.type(), types)));
}

}  // namespace

absl::Status CheckLayer(const caffe::LayerParameter& layer) {
  const LayerType* type = Find(layer.type());
  if (type == nullptr) return UnknownType(layer);
  return Annotate(CheckText(*type, layer), absl::StrCat("layer \"", layer.name(), "\" (", layer.type(), ")"));
}

absl::StatusOr<std::unique_ptr<Layer>> CreateLayer(const LayerContext& context) {
  const LayerType* type = Find(context.param.type());
  if (type == nullptr) return UnknownType(context.param);
  absl::StatusOr<std::unique_ptr<Layer>> layer = Create(*type, context);
  if (!layer.ok()) return Annotate(layer.status(), Describe(context));
  return layer;
}

std::vector<std::string> UnusedFields(const caffe::LayerParameter& layer) {
  const LayerType* type = Find(layer.type());
  if (type == nullptr) return {};
  std::vector<std::string> unused;
  for (const std::string& field : ParamFields(layer)) {
    // Only messages that belong to some type: another one is not known to be without effect.
    const bool of_a_type = std::any_of(std::begin(kTypes), std::end(kTypes), [&field](const LayerType& other) {
      return field == other.param || field == other.second_param;
    });
    if (of_a_type && field != type->param && field != type->second_param) unused.push_back(field);
  }
  return unused;
}

std::string OfferedLayerTypes() {
  std::string text;
  for (const LayerType& type : kTypes) absl::StrAppend(&text, text.empty() ? "" : ", ", type.name);
  return text;
}

}  // namespace samovar
