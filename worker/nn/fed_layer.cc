// Data, HDF5Data, ImageData, MemoryData, Input: tops that are filled by the caller of Net::Forward (Net::inputs).
//   of the first four   [batch, ...] each, the shapes of a record as the feed knows them; labels [batch]
//   of Input            as input_param.shape says
#include "worker/nn/fed_layer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

constexpr int kMaxBatch = 1 << 24;

class FedLayer : public Layer {
 public:
  explicit FedLayer(const std::vector<Shape>& tops) {
    for (const Shape& shape : tops) AddTop(shape);
  }

  bool has_backward() const override { return false; }
  absl::Status Forward(const Pass&) override { return absl::OkStatus(); }
  void Backward(const Pass&) override {}
};

struct StatedBatch {
  absl::string_view field;
  uint64_t size;
};

StatedBatch Stated(const caffe::LayerParameter& layer) {
  if (layer.type() == "Data") return {"data_param", layer.data_param().batch_size()};
  if (layer.type() == "HDF5Data") return {"hdf5_data_param", layer.hdf5_data_param().batch_size()};
  if (layer.type() == "ImageData") return {"image_data_param", layer.image_data_param().batch_size()};
  return {"memory_data_param", layer.memory_data_param().batch_size()};
}

}  // namespace

bool IsFedType(absl::string_view type) {
  return type == "Data" || type == "HDF5Data" || type == "ImageData" || type == "MemoryData";
}

absl::StatusOr<int> BatchSizeOf(const caffe::LayerParameter& layer) {
  const StatedBatch batch = Stated(layer);
  if (batch.size < 1 || batch.size > kMaxBatch) {
    return absl::InvalidArgumentError(absl::StrCat("layer \"", layer.name(), "\" (", layer.type(), "): ", batch.field,
                                                   ".batch_size is ", batch.size, "; give 1 to ", kMaxBatch));
  }
  return static_cast<int>(batch.size);
}

// The fields of the data messages and transform_param are read, and refused, by the feed that fills the tops.
LayerOr CreateFedLayer(const LayerContext& context) {
  if (static_cast<int>(context.fed_tops.size()) != context.param.top_size()) {
    return absl::InvalidArgumentError(absl::StrCat("it has ", context.param.top_size(), " tops, but its records have ",
                                                   context.fed_tops.size(), " parts"));
  }
  return std::make_unique<FedLayer>(context.fed_tops);
}

LayerOr CreateInputLayer(const LayerContext& context) {
  const caffe::InputParameter& input = context.param.input_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(input, "input_param", {"shape"}));
  if (input.shape_size() != 1 && input.shape_size() != context.param.top_size()) {
    return absl::InvalidArgumentError(absl::StrCat("input_param.shape is given ", input.shape_size(), " times for ",
                                                   context.param.top_size(), " tops; give it once, or once for each"));
  }
  std::vector<Shape> tops;
  for (int i = 0; i < context.param.top_size(); ++i) {
    const caffe::BlobShape& given = input.shape(input.shape_size() == 1 ? 0 : i);
    tops.push_back(context.ForBatch(Shape(given.dim().begin(), given.dim().end())));
    SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(tops.back()), "input_param.shape"));
  }
  return std::make_unique<FedLayer>(tops);
}

}  // namespace samovar
