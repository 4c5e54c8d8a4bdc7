#include "worker/nn/layers/layer_fields.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace samovar {

absl::Status CheckFields(const google::protobuf::Message& message, absl::string_view name,
                         std::initializer_list<absl::string_view> honoured) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  for (const auto* field : set) {
    if (std::find(honoured.begin(), honoured.end(), field->name()) != honoured.end()) continue;
    const std::string full = name.empty() ? field->name() : absl::StrCat(name, ".", field->name());
    return absl::UnimplementedError(absl::StrCat("field \"", full, "\" is not offered here; remove it (there are ",
                                                 absl::StrJoin(honoured, ", "), ")"));
  }
  return absl::OkStatus();
}

std::vector<std::string> ParamFields(const caffe::LayerParameter& layer) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  layer.GetReflection()->ListFields(layer, &set);
  std::vector<std::string> names;
  for (const auto* field : set) {
    if (!field->is_repeated() && field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE)
      names.push_back(field->name());
  }
  return names;
}

absl::Status CheckHeightWidth(absl::string_view name, bool plain, bool height, bool width) {
  if (plain && (height || width)) {
    return absl::InvalidArgumentError(
        absl::StrCat("give ", name, name == "kernel" ? "_size" : "", ", or its _h and _w, but not both"));
  }
  if (height != width) return absl::InvalidArgumentError(absl::StrCat("give both ", name, "_h and ", name, "_w"));
  return absl::OkStatus();
}

}  // namespace samovar
