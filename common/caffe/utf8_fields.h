// Texts in a message that are not UTF-8: protobuf's text format lets them in, and nothing can carry them to other
// processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/caffe/source_map.h"
#include "google/protobuf/message.h"

namespace samovar {

// The words with which each refusal describes a text that is not UTF-8.
std::string NotUtf8(absl::string_view text);

// INVALID_ARGUMENT, with `where` each of them stands, unless all texts in the message are UTF-8. Fields of type bytes
// are no texts.
absl::Status CheckUtf8Fields(const google::protobuf::Message& message,
                             const std::function<std::string(const std::vector<FieldStep>& path)>& where);

}  // namespace samovar
