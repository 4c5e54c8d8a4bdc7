// Parameter: the top is a parameter of the shape that parameter_param gives, zero at first; its gradient is the top's.
#include <algorithm>

#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class ParameterLayer : public Layer {
 public:
  ParameterLayer(const std::string& name, const Shape& shape) {
    AddTop(shape);
    AddParameter(name, shape, caffe::FillerParameter::default_instance());
  }

  absl::Status Forward(const Pass&) override {
    std::copy_n(binding().weights[0], top(0).elements(), top(0).data);
    return absl::OkStatus();
  }

  void Backward(const Pass&) override {
    if (binding().gradients[0] != nullptr) std::copy_n(top(0).diff, top(0).elements(), binding().gradients[0]);
  }
};

}  // namespace

LayerOr CreateParameterLayer(const LayerContext& context) {
  const caffe::ParameterParameter& parameter = context.param.parameter_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(parameter, "parameter_param", {"shape"}));
  if (parameter.shape().dim_size() == 0) {
    return absl::InvalidArgumentError(
        "parameter_param.shape is missing or has no dim; give the sizes of the top's axes");
  }
  const Shape shape(parameter.shape().dim().begin(), parameter.shape().dim().end());
  SAMOVAR_RETURN_IF_ERROR(Annotate(CheckShape(shape), "parameter_param.shape"));
  return std::make_unique<ParameterLayer>(context.param.name(), shape);
}

}  // namespace samovar
