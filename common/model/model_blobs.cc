#include "common/model/model_blobs.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/model/layout.h"

namespace samovar {

absl::StatusOr<caffe::NetParameter> MakeModel(const caffe::NetParameter& net, const v1::ParameterLayout& layout,
                                              std::span<const float> weights) {
  if (weights.size() != layout.elements()) {
    return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has ", layout.elements(),
                                                   " parameters, but there are ", weights.size()));
  }
  caffe::NetParameter model = net;
  std::map<std::string, caffe::LayerParameter*> layers;
  for (caffe::LayerParameter& layer : *model.mutable_layer()) {
    layer.clear_blobs();
    layers[layer.name()] = &layer;
  }
  // A layer's parameters by their numbers; a shared one is written in every layer that uses it.
  std::map<std::string, std::map<uint32_t, const v1::ParameterBlob*>> parameters;
  for (const v1::ParameterBlob& blob : layout.blobs()) parameters[blob.layer()][blob.index()] = &blob;
  for (const v1::SharedParameter& shared : layout.shared()) {
    parameters[shared.layer()][shared.index()] = &layout.blobs(static_cast<int>(shared.blob()));
  }
  for (const auto& [name, blobs] : parameters) {
    const auto layer = layers.find(name);
    if (layer == layers.end()) {
      return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has no layer \"", name, "\""));
    }
    for (const auto& [index, parameter] : blobs) {
      caffe::BlobProto* blob = layer->second->add_blobs();
      for (int64_t dimension : parameter->shape()) blob->mutable_shape()->add_dim(dimension);
      const std::span<const float> values = weights.subspan(parameter->offset(), BlobElements(*parameter));
      blob->mutable_data()->Add(values.begin(), values.end());
    }
  }
  return model;
}

}  // namespace samovar
