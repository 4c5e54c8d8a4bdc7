#include "cli/report/json_line.h"

#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace samovar {
namespace {

// Length of the UTF-8 sequence at the text's beginning; 0 if it is none (too long forms and surrogates included).
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool outside = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return overlong || outside ? 0 : length;
}

}  // namespace

std::string JsonString(absl::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const char c = text.front();
    if (length == 0) {
      json += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      absl::StrAppend(&json, "\\", text.substr(0, 1));
    } else if (c == '\n') {
      json += "\\n";
    } else if (length == 1 && static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&json, absl::StrFormat("\\u%04x", static_cast<int>(c)));
    } else {
      json.append(text.data(), length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return json + "\"";
}

JsonLine& JsonLine::Raw(absl::string_view name, absl::string_view json) {
  absl::StrAppend(&fields_, fields_.empty() ? "" : ",", JsonString(name), ":", json);
  return *this;
}

JsonLine& JsonLine::Text(absl::string_view name, absl::string_view value) { return Raw(name, JsonString(value)); }

JsonLine& JsonLine::Integer(absl::string_view name, uint64_t value) { return Raw(name, absl::StrCat(value)); }

JsonLine& JsonLine::Number(absl::string_view name, double value) {
  return Raw(name, std::isfinite(value) ? absl::StrFormat("%.9g", value) : "null");
}

JsonLine& JsonLine::Bool(absl::string_view name, bool value) { return Raw(name, value ? "true" : "false"); }

std::string JsonLine::Finish() const { return absl::StrCat("{", fields_, "}"); }

}  // namespace samovar
