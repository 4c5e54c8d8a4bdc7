#include "common/caffe/source_map.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// The index that ParseInfoTree takes for the index-th value of a field: -1 for a field with one value.
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

SourceMap::SourceMap(std::string file, std::string text) : file_(std::move(file)), text_(std::move(text)), lines_{0} {
  for (size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n', end + 1))
    lines_.push_back(end + 1);
}

std::string SourceMap::Format(TextFormat::ParseLocation location) const {
  if (location.line < 0) return file_;
  // Not LineOf, which walks the text from its beginning: a net has as many places to name as it has layers.
  const auto line = static_cast<size_t>(location.line);
  const absl::string_view rest =
      line < lines_.size() ? absl::string_view(text_).substr(lines_[line]) : absl::string_view();
  return absl::StrCat(file_, ":", location.line + 1, ":", ByteColumn(rest.substr(0, rest.find('\n')), location.column));
}

std::string SourceMap::WherePath(const Message& message, const std::vector<FieldStep>& path) const {
  const Message* at = &message;
  const TextFormat::ParseInfoTree* tree = &tree_;
  TextFormat::ParseLocation deepest;
  for (const FieldStep& step : path) {
    const FieldDescriptor* field = at->GetDescriptor()->FindFieldByName(std::string(step.field));
    if (field == nullptr) break;
    const int index = ValueIndex(*at, *field, step.index);
    const int values = field->is_repeated() ? at->GetReflection()->FieldSize(*at, field) : 0;
    if (field->is_repeated() && (index < 0 || index >= values)) break;
    const TextFormat::ParseLocation location = tree->GetLocation(field, TreeIndex(*field, index));
    if (location.line < 0) break;
    deepest = location;
    if (field->message_type() == nullptr) break;
    tree = tree->GetTreeForNested(field, TreeIndex(*field, index));
    if (tree == nullptr) break;
    at = field->is_repeated() ? &at->GetReflection()->GetRepeatedMessage(*at, field, index)
                              : &at->GetReflection()->GetMessage(*at, field);
  }
  return Format(deepest);
}

std::string SourceMap::Where(const Message& message, absl::string_view field, int index) const {
  return WherePath(message, {{field, index}});
}

std::string SourceMap::WhereNested(const Message& message, absl::string_view outer, int index,
                                   absl::string_view inner) const {
  return WherePath(message, {{outer, index}, {inner, 0}});
}

}  // namespace samovar
