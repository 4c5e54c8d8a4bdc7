#include "common/caffe/text_errors.h"

#include <cstdint>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/suggest.h"
#include "common/caffe/source_map.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace samovar {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::Tokenizer;

// Words of a text in an error: short, and printable for any text.
std::string Quote(absl::string_view text) {
  constexpr size_t kLongest = 40;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kLongest)), text.size() > kLongest ? "..." : "", "\"");
}

std::string Quote(const Tokenizer::Token& token) {
  if (token.type != Tokenizer::TYPE_STRING) return Quote(token.text);
  std::string text;
  Tokenizer::ParseString(token.text, &text);
  return Quote(text);
}

std::string NameOf(const Descriptor& type) {
  if (type.full_name() == "caffe.NetParameter") return "the net";
  if (type.full_name() == "caffe.SolverParameter") return "the solver";
  return type.name();
}

// The kind of value that the field takes, in words.
std::string ValueKind(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return "a whole number of at most 32 bits";
    case FieldDescriptor::CPPTYPE_UINT32:
      return "a whole number from 0 to 4294967295";
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number";
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    default:
      return "a text in double quotes";
  }
}

// One pass over the text's tokens along the descriptors of the fields that should be there.
class ErrorFinder : public google::protobuf::io::ErrorCollector {
 public:
  ErrorFinder(absl::string_view text, std::string file, size_t max_errors)
      : text_(text),
        file_(std::move(file)),
        max_errors_(max_errors),
        input_(text.data(), static_cast<int>(text.size())),
        tokenizer_(&input_, this) {
    // As protobuf's text format does.
    tokenizer_.set_allow_f_after_float(true);
    tokenizer_.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  }

  std::vector<std::string> Find(const Descriptor& type) {
    tokenizer_.Next();
    Fields(type, NameOf(type), "");
    return std::move(errors_);
  }

  // The tokenizer's own errors: an open string, a character that no token starts with.
  void AddError(int line, int column, const std::string& message) override { Report(line, column, message); }

 private:
  const Tokenizer::Token& token() { return tokenizer_.current(); }
  bool AtEnd() { return token().type == Tokenizer::TYPE_END; }
  bool At(absl::string_view symbol) { return token().type == Tokenizer::TYPE_SYMBOL && token().text == symbol; }
  bool Done() const { return stopped_ || errors_.size() >= max_errors_; }

  bool Take(absl::string_view symbol) {
    if (!At(symbol)) return false;
    tokenizer_.Next();
    return true;
  }

  void Report(int line, int column, absl::string_view message) {
    if (Done()) return;
    errors_.push_back(absl::StrCat(file_, ":", line + 1, ":", ByteColumn(LineOf(text_, line), column), ": ", message));
  }
  void Report(const Tokenizer::Token& at, absl::string_view message) { Report(at.line, at.column, message); }

  // Reports an error after which nothing can be said about the rest.
  void Stop(const Tokenizer::Token& at, absl::string_view message) {
    Report(at, message);
    stopped_ = true;
  }

  std::string Found() { return AtEnd() ? "the end of the file" : Quote(token()); }

  // Fields up to the symbol `close`, which is consumed; to the end of the text if `close` is empty. `context`: the name
  // of the message in errors.
  void Fields(const Descriptor& type, const std::string& context, absl::string_view close) {
    std::set<const FieldDescriptor*> seen;
    while (!Done()) {
      if (close.empty() ? AtEnd() : Take(close)) return;
      if (token().type != Tokenizer::TYPE_IDENTIFIER) {
        return Stop(token(), absl::StrCat("expected a field of ", context, close.empty() ? "" : " or its \"", close,
                                          close.empty() ? "" : "\"", ", found ", Found()));
      }
      Field(type, context, &seen);
      if (!Take(",")) Take(";");
    }
  }

  void Field(const Descriptor& type, const std::string& context, std::set<const FieldDescriptor*>* seen) {
    const Tokenizer::Token name = token();
    tokenizer_.Next();
    const FieldDescriptor* field = type.FindFieldByName(name.text);
    if (field == nullptr) {
      std::vector<std::string> names;
      for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
      Report(name, absl::StrCat("unknown field ", Quote(name.text), " in ", context, DidYouMean(name.text, names)));
      return SkipValue();
    }
    if (!seen->insert(field).second && !field->is_repeated()) {
      Report(name, absl::StrCat(name.text, " is given twice in ", context, "; it has one value"));
    }
    const bool colon = Take(":");
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!colon && !is_message) {
      if (At("{") || At("<")) {
        Report(token(), absl::StrCat(name.text, " must be ", Expected(*field), ", written ", name.text, ": ..."));
        return SkipValue();
      }
      Report(token(), absl::StrCat("expected \":\" after ", name.text, ", found ", Found()));
    }
    Values(*field);
  }

  // One value, or a list of them in brackets.
  void Values(const FieldDescriptor& field) {
    if (!field.is_repeated() || !Take("[")) return Value(field);
    if (Take("]")) return;
    do {
      Value(field);
    } while (!Done() && Take(","));
    if (!Done() && !Take("]")) {
      Stop(token(), absl::StrCat("expected \",\" or \"]\" in the list of ", field.name(), ", found ", Found()));
    }
  }

  void Value(const FieldDescriptor& field) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return MessageValue(field);
    const Tokenizer::Token start = token();
    const bool negative = Take("-");
    if (AtEnd() || token().type == Tokenizer::TYPE_SYMBOL) {
      return Stop(token(), absl::StrCat(field.name(), " must be ", Expected(field), "; found ", Found()));
    }
    const Tokenizer::Token value = token();
    tokenizer_.Next();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      CheckEnum(field, start, negative, value);
    } else if (!IsScalar(field, negative, value)) {
      const bool text = value.type == Tokenizer::TYPE_STRING;
      Report(start, absl::StrCat(field.name(), " must be ", Expected(field), ", not ", text ? "the text " : "",
                                 text ? Quote(value) : Quote(absl::StrCat(negative ? "-" : "", value.text))));
    }
    // Texts that follow each other are one.
    while (value.type == Tokenizer::TYPE_STRING && token().type == Tokenizer::TYPE_STRING) tokenizer_.Next();
  }

  void MessageValue(const FieldDescriptor& field) {
    const Tokenizer::Token open = token();
    if (!Take("{") && !Take("<")) {
      return Stop(open, absl::StrCat("expected \"{\" after ", field.name(), ", found ", Found()));
    }
    if (++depth_ > kMaxTextDepth) return Stop(open, absl::StrCat("nested more than ", kMaxTextDepth, " deep"));
    Fields(*field.message_type(), field.name(), open.text == "{" ? "}" : ">");
    --depth_;
  }

  static std::vector<std::string> ValueNames(const EnumDescriptor& type) {
    std::vector<std::string> names;
    for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
    return names;
  }

  static std::string Expected(const FieldDescriptor& field) {
    constexpr size_t kMostNamed = 12;
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return ValueKind(field);
    const std::vector<std::string> names = ValueNames(*field.enum_type());
    if (names.size() > kMostNamed) return absl::StrCat("one of ", names.size(), " names in capitals");
    return absl::StrCat("one of ", absl::StrJoin(names, ", "));
  }

  void CheckEnum(const FieldDescriptor& field, const Tokenizer::Token& start, bool negative,
                 const Tokenizer::Token& value) {
    const EnumDescriptor& type = *field.enum_type();
    uint64_t number = 0;
    if (value.type == Tokenizer::TYPE_INTEGER && !negative &&
        Tokenizer::ParseInteger(value.text, std::numeric_limits<int32_t>::max(), &number) &&
        type.FindValueByNumber(static_cast<int>(number)) != nullptr) {
      return;
    }
    if (value.type == Tokenizer::TYPE_IDENTIFIER && !negative && type.FindValueByName(value.text) != nullptr) return;
    if (value.type == Tokenizer::TYPE_STRING && type.full_name() == "caffe.V1LayerParameter.LayerType") {
      return Report(start, "type is written without quotes in \"layers\", Caffe's old form; write \"layer\" instead");
    }
    if (value.type == Tokenizer::TYPE_STRING) {
      return Report(start, absl::StrCat(field.name(), " is written without quotes; it is ", Expected(field)));
    }
    Report(start, absl::StrCat("unknown value ", Quote(absl::StrCat(negative ? "-" : "", value.text)), " for ",
                               field.name(), ", expected ", Expected(field), DidYouMean(value.text, ValueNames(type))));
  }

  static bool IsScalar(const FieldDescriptor& field, bool negative, const Tokenizer::Token& value) {
    const bool word = value.type == Tokenizer::TYPE_IDENTIFIER;
    const bool integer = value.type == Tokenizer::TYPE_INTEGER;
    uint64_t number = 0;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64: {
        const bool wide = field.cpp_type() == FieldDescriptor::CPPTYPE_INT64;
        const uint64_t max = wide ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int32_t>::max();
        return integer && Tokenizer::ParseInteger(value.text, max + (negative ? 1 : 0), &number);
      }
      case FieldDescriptor::CPPTYPE_UINT32:
        return integer && !negative &&
               Tokenizer::ParseInteger(value.text, std::numeric_limits<uint32_t>::max(), &number);
      case FieldDescriptor::CPPTYPE_UINT64:
        return integer && !negative &&
               Tokenizer::ParseInteger(value.text, std::numeric_limits<uint64_t>::max(), &number);
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        // Not octal or hexadecimal.
        if (integer) return value.text.size() == 1 || value.text[0] != '0';
        return value.type == Tokenizer::TYPE_FLOAT ||
               (word && (absl::EqualsIgnoreCase(value.text, "inf") || absl::EqualsIgnoreCase(value.text, "infinity") ||
                         absl::EqualsIgnoreCase(value.text, "nan")));
      case FieldDescriptor::CPPTYPE_BOOL:
        if (negative) return false;
        if (integer) return Tokenizer::ParseInteger(value.text, 1, &number);
        return word && (value.text == "true" || value.text == "True" || value.text == "t" || value.text == "false" ||
                        value.text == "False" || value.text == "f");
      default:
        return value.type == Tokenizer::TYPE_STRING && !negative;
    }
  }

  // Skips the text behind an unknown name: a value or a message, as far as one can tell.
  void SkipValue() {
    const bool colon = Take(":");
    if (At("{") || At("<") || At("[")) return SkipBlock();
    if (!colon) {
      stopped_ = true;
      return;
    }
    Take("-");
    const bool text = token().type == Tokenizer::TYPE_STRING;
    if (AtEnd() || token().type == Tokenizer::TYPE_SYMBOL) return;
    tokenizer_.Next();
    while (text && token().type == Tokenizer::TYPE_STRING) tokenizer_.Next();
  }

  void SkipBlock() {
    int open = 0;
    do {
      if (At("{") || At("<") || At("[")) ++open;
      if (At("}") || At(">") || At("]")) --open;
      tokenizer_.Next();
    } while (open > 0 && !AtEnd());
  }

  const absl::string_view text_;
  const std::string file_;
  const size_t max_errors_;
  std::vector<std::string> errors_;
  bool stopped_ = false;
  int depth_ = 0;
  google::protobuf::io::ArrayInputStream input_;
  Tokenizer tokenizer_;
};

}  // namespace

std::vector<std::string> FindTextErrors(absl::string_view text, const Descriptor& type, const std::string& file,
                                        int max_errors) {
  return ErrorFinder(text, file, static_cast<size_t>(max_errors)).Find(type);
}

}  // namespace samovar
