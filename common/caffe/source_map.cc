#include "common/caffe/source_map.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// What ParseInfoTree wants for the index-th value of a field: -1 for a field with one value.
int TreeIndex(const FieldDescriptor& field, int index) { return field.is_repeated() ? index : -1; }

// `index`, or the last value if it is -1; below 0 if a repeated field has no values.
int ValueIndex(const Message& message, const FieldDescriptor& field, int index) {
  return field.is_repeated() && index < 0 ? message.GetReflection()->FieldSize(message, &field) - 1 : index;
}

}  // namespace

absl::string_view LineOf(absl::string_view text, int line) {
  for (; line > 0; --line) {
    const size_t end = text.find('\n');
    if (end == absl::string_view::npos) return absl::string_view();
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

int ByteColumn(absl::string_view line, int column) {
  constexpr int kTabWidth = 8;
  int bytes = 0;
  int reached = 0;
  while (reached < column && bytes < static_cast<int>(line.size())) {
    reached += line[bytes] == '\t' ? kTabWidth - reached % kTabWidth : 1;
    ++bytes;
  }
  return bytes + 1;
}

SourceMap::SourceMap(std::string file, std::string text) : file_(std::move(file)), text_(std::move(text)) {}

std::string SourceMap::Format(TextFormat::ParseLocation location) const {
  if (location.line < 0) return file_;
  return absl::StrCat(file_, ":", location.line + 1, ":", ByteColumn(LineOf(text_, location.line), location.column));
}

std::string SourceMap::Where(const Message& message, absl::string_view field, int index) const {
  const FieldDescriptor* descriptor = message.GetDescriptor()->FindFieldByName(std::string(field));
  if (descriptor == nullptr) return file_;
  index = ValueIndex(message, *descriptor, index);
  if (descriptor->is_repeated() && index < 0) return file_;
  return Format(tree_.GetLocation(descriptor, TreeIndex(*descriptor, index)));
}

std::string SourceMap::WhereNested(const Message& message, absl::string_view outer, int index,
                                   absl::string_view inner) const {
  const FieldDescriptor* descriptor = message.GetDescriptor()->FindFieldByName(std::string(outer));
  if (descriptor == nullptr || descriptor->message_type() == nullptr) return file_;
  index = ValueIndex(message, *descriptor, index);
  if (descriptor->is_repeated() && index < 0) return file_;
  const FieldDescriptor* inner_descriptor = descriptor->message_type()->FindFieldByName(std::string(inner));
  const TextFormat::ParseInfoTree* nested = tree_.GetTreeForNested(descriptor, TreeIndex(*descriptor, index));
  if (nested != nullptr && inner_descriptor != nullptr) {
    const auto location = nested->GetLocation(inner_descriptor, TreeIndex(*inner_descriptor, 0));
    if (location.line >= 0) return Format(location);
  }
  return Format(tree_.GetLocation(descriptor, TreeIndex(*descriptor, index)));
}

}  // namespace samovar
