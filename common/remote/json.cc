#include "common/remote/json.h"

#include "absl/strings/numbers.h"
#include "google/protobuf/util/json_util.h"

namespace samovar {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

const Value& Find(const Struct& object, absl::string_view name) {
  const auto found = object.fields().find(std::string(name));
  return found == object.fields().end() ? Value::default_instance() : found->second;
}

// Doubles have all whole numbers below it.
constexpr double kLargestWhole = 9007199254740992.0;

}  // namespace

absl::StatusOr<Struct> ParseJson(absl::string_view text) {
  Struct object;
  if (!google::protobuf::util::JsonStringToMessage(std::string(text), &object).ok()) {
    return absl::InvalidArgumentError("the answer is no JSON object");
  }
  return object;
}

std::string JsonText(const Struct& object, absl::string_view name) { return Find(object, name).string_value(); }

uint64_t JsonNumber(const Struct& object, absl::string_view name) {
  const Value& value = Find(object, name);
  uint64_t number = 0;
  if (absl::SimpleAtoi(value.string_value(), &number)) return number;
  const double real = value.number_value();
  return real > 0 && real <= kLargestWhole ? static_cast<uint64_t>(real) : 0;
}

bool JsonBool(const Struct& object, absl::string_view name) { return Find(object, name).bool_value(); }

const Struct& JsonObject(const Struct& object, absl::string_view name) { return Find(object, name).struct_value(); }

std::vector<Struct> JsonObjects(const Struct& object, absl::string_view name) {
  std::vector<Struct> objects;
  for (const Value& value : Find(object, name).list_value().values()) objects.push_back(value.struct_value());
  return objects;
}

}  // namespace samovar
