#include "common/caffe/source_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// ParseInfoTree counts the values of repeated fields only.
int TreeIndex(const Message& message, const FieldDescriptor& field, int index) {
  if (!field.is_repeated()) return -1;
  return index >= 0 ? index : message.GetReflection()->FieldSize(message, &field) - 1;
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
  return Format(tree_.GetLocation(descriptor, TreeIndex(message, *descriptor, index)));
}

std::string SourceMap::WhereNested(const Message& message, absl::string_view outer, int index,
                                   absl::string_view inner) const {
  const FieldDescriptor* descriptor = message.GetDescriptor()->FindFieldByName(std::string(outer));
  if (descriptor == nullptr || descriptor->message_type() == nullptr) return file_;
  const int tree_index = TreeIndex(message, *descriptor, index);
  const FieldDescriptor* inner_descriptor = descriptor->message_type()->FindFieldByName(std::string(inner));
  const TextFormat::ParseInfoTree* nested = tree_.GetTreeForNested(descriptor, tree_index);
  if (nested != nullptr && inner_descriptor != nullptr) {
    const auto location = nested->GetLocation(inner_descriptor, inner_descriptor->is_repeated() ? 0 : -1);
    if (location.line >= 0) return Format(location);
  }
  return Format(tree_.GetLocation(descriptor, tree_index));
}

}  // namespace samovar
