#include "common/caffe/upgrade_net.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/caffe/error_list.h"
#include "common/caffe/prototxt.h"
#include "common/caffe/upgrade_v0_net.h"

namespace samovar {
namespace {

using caffe::LayerParameter;
using caffe::V1LayerParameter;
using google::protobuf::FieldDescriptor;

constexpr int kDimsOfInput = 4;
constexpr int kParamsOfBatchNorm = 3;
// A hundred times as many as the deepest nets have. Building one takes tens of microseconds a layer.
constexpr int kMaxLayers = 100'000;

absl::Status Wrong(const std::string& where, absl::string_view message) {
  return absl::InvalidArgumentError(where.empty() ? std::string(message) : absl::StrCat(where, ": ", message));
}

// ------------------------------------------------------------------------------------------------------------- checks

// Refuses nets with too many layers, or with layers of two forms.
absl::Status CheckForms(const NetLocator& where, const caffe::NetParameter& net) {
  if (net.layers_size() > kMaxLayers || net.layer_size() > kMaxLayers) {
    const int layers = std::max(net.layers_size(), net.layer_size());
    return Wrong(where({{net.layers_size() > kMaxLayers ? "layers" : "layer", kMaxLayers}}),
                 absl::StrCat("the net has ", layers, " layers; at most ", kMaxLayers, " can be"));
  }
  if (net.layers_size() > 0 && net.layer_size() > 0) {
    return Wrong(where({{"layers", 0}}),
                 "the net has \"layers\", of Caffe's old form, and \"layer\"; write all of them as layer { type: "
                 "\"...\" }");
  }
  return absl::OkStatus();
}

template <typename Layer>
absl::Status CheckRules(const NetLocator& where, absl::string_view field, int index, const Layer& layer) {
  if (layer.include_size() == 0 || layer.exclude_size() == 0) return absl::OkStatus();
  return Wrong(where({{field, index}, {"exclude", 0}}),
               absl::StrCat("layer \"", layer.name(), "\" has include and exclude rules; keep those of one kind"));
}

void CheckLayers(const NetLocator& where, const caffe::NetParameter& net, ErrorList* errors) {
  for (int i = 0; i < net.layers_size(); ++i) {
    const V1LayerParameter& layer = net.layers(i);
    if (layer.type() == V1LayerParameter::NONE) {
      errors->Add(Wrong(where({{"layers", i}, {"type"}}),
                        absl::StrCat("layer \"", layer.name(), "\" has no type; write for example type: CONVOLUTION")));
    }
    errors->Add(CheckRules(where, "layers", i, layer));
  }
  for (int i = 0; i < net.layer_size(); ++i) {
    errors->Add(CheckRules(where, "layer", i, net.layer(i)));
  }
}

bool Contains(const google::protobuf::RepeatedPtrField<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether some layer reads the blob, and none makes it.
template <typename Layers>
bool IsMissing(const Layers& layers, const std::string& blob) {
  bool read = false;
  for (const auto& layer : layers) {
    if (Contains(layer.top(), blob)) return false;
    read = read || Contains(layer.bottom(), blob);
  }
  return read;
}

// One shape an input, in either form; input_shape counts if there are both. Inputs without shapes are dropped, as in
// Caffe, which some nets have beside an Input layer.
absl::Status CheckInputs(const NetLocator& where, const caffe::NetParameter& net) {
  const int inputs = net.input_size();
  if (inputs == 0) return absl::OkStatus();
  if (net.input_shape_size() == 0 && net.input_dim_size() == 0) {
    for (int i = 0; i < inputs; ++i) {
      if (!IsMissing(net.layer(), net.input(i)) && !IsMissing(net.layers(), net.input(i))) continue;
      return Wrong(where({{"input", i}}), absl::StrCat("input \"", net.input(i),
                                                       "\" has no shape; write for example input_shape { dim: 1 dim: 3 "
                                                       "dim: 32 dim: 32 }"));
    }
    return absl::OkStatus();
  }
  if (net.input_shape_size() > 0 && net.input_shape_size() != inputs) {
    return Wrong(where({{"input_shape"}}), absl::StrCat("there are ", inputs, " values of input, but ",
                                                        net.input_shape_size(), " of input_shape; write one for each"));
  }
  if (net.input_shape_size() == 0 && net.input_dim_size() != inputs * kDimsOfInput) {
    return Wrong(where({{"input_dim"}}), absl::StrCat("there are ", inputs, " values of input, but ",
                                                      net.input_dim_size(), " of input_dim; write four for each"));
  }
  return absl::OkStatus();
}

// ----------------------------------------------------------------------------------------------------------- upgrades

// From a parameter of a data layer to the layer's transform.
template <typename DataParam>
void MoveTransform(DataParam* from, caffe::TransformationParameter* to) {
  if (from->has_scale()) to->set_scale(from->scale());
  if (from->has_mean_file()) to->set_mean_file(from->mean_file());
  if (from->has_crop_size()) to->set_crop_size(from->crop_size());
  if (from->has_mirror()) to->set_mirror(from->mirror());
  from->clear_scale();
  from->clear_mean_file();
  from->clear_crop_size();
  from->clear_mirror();
}

template <typename DataParam>
bool HasTransform(const DataParam& param) {
  return param.has_scale() || param.has_mean_file() || param.has_crop_size() || param.has_mirror();
}

void UpgradeTransform(V1LayerParameter* layer) {
  if (layer->type() == V1LayerParameter::DATA && HasTransform(layer->data_param())) {
    MoveTransform(layer->mutable_data_param(), layer->mutable_transform_param());
  } else if (layer->type() == V1LayerParameter::IMAGE_DATA && HasTransform(layer->image_data_param())) {
    MoveTransform(layer->mutable_image_data_param(), layer->mutable_transform_param());
  } else if (layer->type() == V1LayerParameter::WINDOW_DATA && HasTransform(layer->window_data_param())) {
    MoveTransform(layer->mutable_window_data_param(), layer->mutable_transform_param());
  }
}

constexpr std::pair<V1LayerParameter::LayerType, const char*> kTypeNames[] = {
    {V1LayerParameter::ABSVAL, "AbsVal"},
    {V1LayerParameter::ACCURACY, "Accuracy"},
    {V1LayerParameter::ARGMAX, "ArgMax"},
    {V1LayerParameter::BNLL, "BNLL"},
    {V1LayerParameter::CONCAT, "Concat"},
    {V1LayerParameter::CONTRASTIVE_LOSS, "ContrastiveLoss"},
    {V1LayerParameter::CONVOLUTION, "Convolution"},
    {V1LayerParameter::DATA, "Data"},
    {V1LayerParameter::DECONVOLUTION, "Deconvolution"},
    {V1LayerParameter::DROPOUT, "Dropout"},
    {V1LayerParameter::DUMMY_DATA, "DummyData"},
    {V1LayerParameter::ELTWISE, "Eltwise"},
    {V1LayerParameter::EUCLIDEAN_LOSS, "EuclideanLoss"},
    {V1LayerParameter::EXP, "Exp"},
    {V1LayerParameter::FLATTEN, "Flatten"},
    {V1LayerParameter::HDF5_DATA, "HDF5Data"},
    {V1LayerParameter::HDF5_OUTPUT, "HDF5Output"},
    {V1LayerParameter::HINGE_LOSS, "HingeLoss"},
    {V1LayerParameter::IM2COL, "Im2col"},
    {V1LayerParameter::IMAGE_DATA, "ImageData"},
    {V1LayerParameter::INFOGAIN_LOSS, "InfogainLoss"},
    {V1LayerParameter::INNER_PRODUCT, "InnerProduct"},
    {V1LayerParameter::LRN, "LRN"},
    {V1LayerParameter::MEMORY_DATA, "MemoryData"},
    {V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS, "MultinomialLogisticLoss"},
    {V1LayerParameter::MVN, "MVN"},
    {V1LayerParameter::POOLING, "Pooling"},
    {V1LayerParameter::POWER, "Power"},
    {V1LayerParameter::RELU, "ReLU"},
    {V1LayerParameter::SIGMOID, "Sigmoid"},
    {V1LayerParameter::SIGMOID_CROSS_ENTROPY_LOSS, "SigmoidCrossEntropyLoss"},
    {V1LayerParameter::SILENCE, "Silence"},
    {V1LayerParameter::SLICE, "Slice"},
    {V1LayerParameter::SOFTMAX, "Softmax"},
    {V1LayerParameter::SOFTMAX_LOSS, "SoftmaxWithLoss"},
    {V1LayerParameter::SPLIT, "Split"},
    {V1LayerParameter::TANH, "TanH"},
    {V1LayerParameter::THRESHOLD, "Threshold"},
    {V1LayerParameter::WINDOW_DATA, "WindowData"},
};

std::string TypeName(V1LayerParameter::LayerType type) {
  for (const auto& [old_type, name] : kTypeNames) {
    if (old_type == type) return name;
  }
  return "";
}

// Messages such as convolution_param have the same names and types in both forms.
void MoveLayerParams(V1LayerParameter* from, LayerParameter* to) {
  std::vector<const FieldDescriptor*> fields;
  from->GetReflection()->ListFields(*from, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->message_type() == nullptr || field->is_repeated() || !absl::EndsWith(field->name(), "_param")) continue;
    const FieldDescriptor* target = to->GetDescriptor()->FindFieldByName(field->name());
    if (target == nullptr || target->message_type() != field->message_type()) continue;
    to->GetReflection()->MutableMessage(to, target)->CopyFrom(from->GetReflection()->GetMessage(*from, field));
  }
}

// The layer's param of this index, which may have to be made.
caffe::ParamSpec* ParamAt(int index, LayerParameter* layer) {
  while (layer->param_size() <= index) layer->add_param();
  return layer->mutable_param(index);
}

void UpgradeLayer(V1LayerParameter* from, LayerParameter* to) {
  UpgradeTransform(from);
  if (from->has_name()) to->set_name(from->name());
  to->set_type(TypeName(from->type()));
  to->mutable_bottom()->Swap(from->mutable_bottom());
  to->mutable_top()->Swap(from->mutable_top());
  to->mutable_include()->Swap(from->mutable_include());
  to->mutable_exclude()->Swap(from->mutable_exclude());
  to->mutable_loss_weight()->Swap(from->mutable_loss_weight());
  to->mutable_blobs()->Swap(from->mutable_blobs());
  for (int i = 0; i < from->param_size(); ++i) ParamAt(i, to)->set_name(from->param(i));
  for (int i = 0; i < from->blob_share_mode_size(); ++i) {
    const bool strict = from->blob_share_mode(i) == V1LayerParameter::STRICT;
    ParamAt(i, to)->set_share_mode(strict ? caffe::ParamSpec::STRICT : caffe::ParamSpec::PERMISSIVE);
  }
  for (int i = 0; i < from->blobs_lr_size(); ++i) ParamAt(i, to)->set_lr_mult(from->blobs_lr(i));
  for (int i = 0; i < from->weight_decay_size(); ++i) ParamAt(i, to)->set_decay_mult(from->weight_decay(i));
  MoveLayerParams(from, to);
}

void UpgradeLayers(caffe::NetParameter* net) {
  for (V1LayerParameter& layer : *net->mutable_layers()) UpgradeLayer(&layer, net->add_layer());
  net->clear_layers();
}

void UpgradeInputs(caffe::NetParameter* net) {
  const int shapes = net->input_shape_size() > 0 ? net->input_shape_size() : net->input_dim_size() / kDimsOfInput;
  if (net->input_size() == 0) return;
  if (shapes == net->input_size()) {
    LayerParameter* layer = net->add_layer();
    layer->set_name("input");
    layer->set_type("Input");
    for (int i = 0; i < shapes; ++i) {
      layer->add_top(net->input(i));
      caffe::BlobShape* shape = layer->mutable_input_param()->add_shape();
      if (net->input_shape_size() > 0) {
        *shape = net->input_shape(i);
        continue;
      }
      for (int k = 0; k < kDimsOfInput; ++k) shape->add_dim(net->input_dim(i * kDimsOfInput + k));
    }
    for (int i = net->layer_size() - 1; i > 0; --i) net->mutable_layer()->SwapElements(i - 1, i);
  }
  net->clear_input();
  net->clear_input_shape();
  net->clear_input_dim();
}

// BatchNorm's three blobs are statistics, which no solver may change.
void UpgradeBatchNorm(caffe::NetParameter* net) {
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (layer.type() != "BatchNorm" || layer.param_size() != kParamsOfBatchNorm) continue;
    for (caffe::ParamSpec& param : *layer.mutable_param()) {
      param.set_lr_mult(0);
      param.set_decay_mult(0);
    }
  }
}

// One entry a layer that Upgrade makes of the net.
std::vector<std::string> PlacesOfLayers(const NetLocator& where, const caffe::NetParameter& net) {
  std::vector<std::string> places;
  const bool has_shapes = net.input_shape_size() + net.input_dim_size() > 0;
  if (net.input_size() > 0 && has_shapes) places.push_back(where({{"input", 0}}));
  for (int i = 0; i < net.layers_size(); ++i) {
    if (!IsV0Padding(net.layers(i))) places.push_back(where({{"layers", i}}));
  }
  for (int i = 0; i < net.layer_size(); ++i) places.push_back(where({{"layer", i}}));
  return places;
}

void Upgrade(caffe::NetParameter* net) {
  UpgradeLayers(net);
  UpgradeInputs(net);
  UpgradeBatchNorm(net);
}

}  // namespace

absl::Status UpgradeNet(const NetLocator& where, caffe::NetParameter* net, std::vector<std::string>* layers) {
  SAMOVAR_RETURN_IF_ERROR(CheckForms(where, *net));
  const bool first_form = IsV0Net(*net);
  ErrorList errors;
  // Layers that were upgraded from the first form pass this check.
  if (!first_form) CheckLayers(where, *net, &errors);
  errors.Add(CheckInputs(where, *net));
  SAMOVAR_RETURN_IF_ERROR(errors.ToStatus());
  if (layers != nullptr) *layers = PlacesOfLayers(where, *net);
  if (first_form) SAMOVAR_RETURN_IF_ERROR(UpgradeV0Net(where, net));
  Upgrade(net);
  return absl::OkStatus();
}

absl::Status UpgradeModel(caffe::NetParameter* model) {
  const auto nowhere = [](const std::vector<FieldStep>&) { return std::string(); };
  SAMOVAR_RETURN_IF_ERROR(CheckForms(nowhere, *model));
  if (IsV0Net(*model)) SAMOVAR_RETURN_IF_ERROR(UpgradeV0Net(nowhere, model));
  Upgrade(model);
  return absl::OkStatus();
}

absl::StatusOr<caffe::NetParameter> LoadNet(const std::string& path, std::vector<std::string>* layers,
                                            const StorageTable& storage) {
  std::unique_ptr<SourceMap> source_map;
  SAMOVAR_ASSIGN_OR_RETURN(caffe::NetParameter net, ReadNetFile(path, &source_map, storage));
  const auto where = [&](const std::vector<FieldStep>& steps) { return source_map->WherePath(net, steps); };
  SAMOVAR_RETURN_IF_ERROR(UpgradeNet(where, &net, layers));
  return net;
}

}  // namespace samovar
