// Refusing prototxt fields that would otherwise be ignored silently.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "caffe.pb.h"

namespace samovar {

// UNIMPLEMENTED if a field of the message is set that is not in `honoured`; the message names it
// ("convolution_param.axis") and lists those that are. `name` is the message's own name in a layer, empty for the layer
// itself.
absl::Status CheckFields(const google::protobuf::Message& message, absl::string_view name,
                         std::initializer_list<absl::string_view> honoured);

// The fields of the layer that are messages ("pooling_param"), in the order of their numbers.
std::vector<std::string> ParamFields(const caffe::LayerParameter& layer);

// INVALID_ARGUMENT if both "name" and "name_h" or "name_w" are given, or only one of the latter; Caffe calls that
// fatal.
absl::Status CheckHeightWidth(absl::string_view name, bool plain, bool height, bool width);

}  // namespace samovar
