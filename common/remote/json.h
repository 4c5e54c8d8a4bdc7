// JSON objects that servers answer with, read as protobuf's Struct.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace samovar {

// INVALID_ARGUMENT: no JSON object.
absl::StatusOr<google::protobuf::Struct> ParseJson(absl::string_view text);

// The value of a name; empty where there is none, or one of another kind.
std::string JsonText(const google::protobuf::Struct& object, absl::string_view name);
// A number from 0 on, or a string of its digits; 0 for all else.
uint64_t JsonNumber(const google::protobuf::Struct& object, absl::string_view name);
bool JsonBool(const google::protobuf::Struct& object, absl::string_view name);
const google::protobuf::Struct& JsonObject(const google::protobuf::Struct& object, absl::string_view name);
// The objects of a list.
std::vector<google::protobuf::Struct> JsonObjects(const google::protobuf::Struct& object, absl::string_view name);

}  // namespace samovar
