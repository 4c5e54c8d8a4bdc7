#include "worker/nn/layer.h"

#include <utility>

namespace samovar {

Shape LayerContext::ForBatch(Shape stated) const {
  if (batch_size == 0 || stated.empty()) return stated;
  if (stated_batch_size == 0 || stated[0] == stated_batch_size) stated[0] = batch_size;
  return stated;
}

absl::Status Layer::Bind(LayerBinding binding) {
  binding_ = std::move(binding);
  return Allocate();
}

void Layer::AddParameter(const std::string& layer, const Shape& shape, const caffe::FillerParameter& filler) {
  v1::ParameterBlob& blob = parameters_.emplace_back();
  blob.set_layer(layer);
  blob.set_index(static_cast<uint32_t>(parameters_.size() - 1));
  for (int64_t dimension : shape) blob.add_shape(dimension);
  *blob.mutable_filler() = filler;
  // The type's default is "constant"; written out, since readers of the layout need not know Caffe's defaults.
  blob.mutable_filler()->set_type(filler.type());
}

void Layer::AddStatistic(const std::string& layer, const Shape& shape, float moving_average_fraction) {
  AddParameter(layer, shape, caffe::FillerParameter::default_instance());
  v1::ParameterBlob& blob = parameters_.back();
  blob.set_rule(v1::UPDATE_RULE_MOVING_AVERAGE);
  blob.set_moving_average_fraction(moving_average_fraction);
}

}  // namespace samovar
