// Everything that is wrong with a file, told at once, a line each.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

class ErrorList {
 public:
  // The lines of the status' message, but for those that are in the list already. An OK status adds nothing.
  void Add(const absl::Status& status);

  bool empty() const { return lines_.empty(); }
  // What is added is counted from now on, and not told.
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
