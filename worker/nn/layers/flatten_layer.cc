// Flatten: the axes from `axis` to end_axis become one.
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/copy_layer.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {

LayerOr CreateFlattenLayer(const LayerContext& context) {
  const caffe::FlattenParameter& flatten = context.param.flatten_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(flatten, "flatten_param", {"axis", "end_axis"}));
  const Shape& in = context.bottoms[0];
  SAMOVAR_ASSIGN_OR_RETURN(const int begin, CanonicalAxis(in, flatten.axis()));
  SAMOVAR_ASSIGN_OR_RETURN(const int end, CanonicalAxis(in, flatten.end_axis()));
  if (begin > end) {
    return absl::InvalidArgumentError(absl::StrCat("flatten_param.axis ", flatten.axis(), " comes after end_axis ",
                                                   flatten.end_axis(), "; exchange them"));
  }
  Shape top(in.begin(), in.begin() + begin);
  top.push_back(Elements(in, begin, end + 1));
  top.insert(top.end(), in.begin() + end + 1, in.end());
  return std::make_unique<CopyLayer>(std::move(top));
}

}  // namespace samovar
