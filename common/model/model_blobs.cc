#include "common/model/model_blobs.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/model/layout.h"

namespace samovar {

absl::StatusOr<caffe::NetParameter> MakeModel(const caffe::NetParameter& net, const v1::ParameterLayout& layout,
                                              std::span<const float> weights) {
  if (weights.size() != layout.elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("net \"", net.name(), "\" has ", layout.elements(), " parameters, but there are ", weights.size()));
  }
  caffe::NetParameter model = net;
  std::map<std::string, caffe::LayerParameter*> layers;
  for (caffe::LayerParameter& layer : *model.mutable_layer()) {
    layer.clear_blobs();
    layers[layer.name()] = &layer;
  }
  for (const v1::ParameterBlob& parameter : layout.blobs()) {
    const auto layer = layers.find(parameter.layer());
    if (layer == layers.end()) {
      return absl::InvalidArgumentError(absl::StrCat("net \"", net.name(), "\" has no layer \"", parameter.layer(), "\""));
    }
    caffe::BlobProto* blob = layer->second->add_blobs();
    for (int64_t dimension : parameter.shape()) blob->mutable_shape()->add_dim(dimension);
    const std::span<const float> values = weights.subspan(parameter.offset(), BlobElements(parameter));
    blob->mutable_data()->Add(values.begin(), values.end());
  }
  return model;
}

}  // namespace samovar
