// ErrorList collects errors into one message, a line each.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

class ErrorList {
 public:
  // Adds the lines of the status' message that are not in the list yet. An OK status adds nothing.
  void Add(const absl::Status& status);

  bool empty() const { return lines_.empty(); }
  // Whether the list has kMaxTextErrors lines: further ones are counted and not listed.
  bool full() const;
  bool HasLineThatBegins(absl::string_view beginning) const;

  // OK if the list is empty. Else with the code of the first error and its first kMaxTextErrors lines, and, if there
  // are more, one that says how many.
  absl::Status ToStatus() const;

 private:
  absl::StatusCode code_ = absl::StatusCode::kOk;
  std::vector<std::string> lines_;
  size_t untold_ = 0;
};

}  // namespace samovar
