// Messages as JSON, for programs.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/statusor.h"

namespace samovar {

// Over several lines, with the fields' names as in the .proto, those that are 0 included.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);
// On one line, without the fields that are 0.
absl::StatusOr<std::string> ToJsonLine(const google::protobuf::Message& message);

}  // namespace samovar
