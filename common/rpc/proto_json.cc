#include "common/rpc/proto_json.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

absl::StatusOr<std::string> Print(const google::protobuf::Message& message, bool on_one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !on_one_line;
  options.always_print_primitive_fields = !on_one_line;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!printed.ok())
    return absl::InternalError(absl::StrCat("the answer cannot be written as JSON: ", printed.ToString()));
  return json;
}

}  // namespace

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  return Print(message, /*on_one_line=*/false);
}

absl::StatusOr<std::string> ToJsonLine(const google::protobuf::Message& message) {
  return Print(message, /*on_one_line=*/true);
}

}  // namespace samovar
