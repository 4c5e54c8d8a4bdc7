#include "common/caffe/utf8_fields.h"

#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"
#include "common/caffe/error_list.h"
#include "google/protobuf/descriptor.h"

namespace samovar {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

class Walk {
 public:
  explicit Walk(const std::function<std::string(const std::vector<FieldStep>&)>& where) : where_(where) {}

  void Visit(const Message& message) {
    std::vector<const FieldDescriptor*> fields;
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
      if (!nested && field->type() != FieldDescriptor::TYPE_STRING) continue;
      const int values = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
      for (int i = 0; i < values; ++i) {
        path_.push_back({field->name(), field->is_repeated() ? i : -1});
        if (nested) {
          Visit(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                     : reflection.GetMessage(message, field));
        } else {
          std::string scratch;
          Check(field->is_repeated() ? reflection.GetRepeatedStringReference(message, field, i, &scratch)
                                     : reflection.GetStringReference(message, field, &scratch));
        }
        path_.pop_back();
      }
    }
  }

  absl::Status status() const { return errors_.ToStatus(); }

 private:
  void Check(const std::string& text) {
    if (IsUtf8(text)) return;
    errors_.Add(absl::InvalidArgumentError(absl::StrCat(where_(path_), ": ", path_.back().field, ": ", NotUtf8(text))));
  }

  const std::function<std::string(const std::vector<FieldStep>&)>& where_;
  std::vector<FieldStep> path_;
  ErrorList errors_;
};

}  // namespace

std::string NotUtf8(absl::string_view text) {
  return absl::StrCat("\"", Printable(text),
                      "\" is not UTF-8, in which names and paths go to servers and workers; rename it (convmv ",
                      "-f latin1 -t utf8 renames files), or use a link with such a name");
}

absl::Status CheckUtf8Fields(const Message& message,
                             const std::function<std::string(const std::vector<FieldStep>& path)>& where) {
  Walk walk(where);
  walk.Visit(message);
  return walk.status();
}

}  // namespace samovar
