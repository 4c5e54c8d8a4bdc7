// JsonLine builds one JSON object on one line.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace samovar {

class JsonLine {
 public:
  // Fields keep the order in which they are added.
  JsonLine& Text(absl::string_view name, absl::string_view value);
  JsonLine& Integer(absl::string_view name, uint64_t value);
  // NaN and infinity, which JSON lacks, become null.
  JsonLine& Number(absl::string_view name, double value);
  JsonLine& Bool(absl::string_view name, bool value);
  // `json` is JSON already.
  JsonLine& Raw(absl::string_view name, absl::string_view json);

  // "{...}", without a newline.
  std::string Finish() const;

 private:
  std::string fields_;
};

// The text in quotes, escaped as JSON demands. Bytes that are not UTF-8 become U+FFFD.
std::string JsonString(absl::string_view text);

}  // namespace samovar
