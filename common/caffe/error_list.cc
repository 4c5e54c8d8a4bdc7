#include "common/caffe/error_list.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/caffe/prototxt.h"

namespace samovar {

void ErrorList::Add(const absl::Status& status) {
  if (status.ok()) return;
  if (code_ == absl::StatusCode::kOk) code_ = status.code();
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    if (std::find(lines_.begin(), lines_.end(), line) != lines_.end()) continue;
    if (full()) {
      ++untold_;
    } else {
      lines_.emplace_back(line);
    }
  }
}

bool ErrorList::full() const { return lines_.size() >= kMaxTextErrors; }

bool ErrorList::HasLineThatBegins(absl::string_view beginning) const {
  return std::any_of(lines_.begin(), lines_.end(),
                     [beginning](const std::string& line) { return absl::StartsWith(line, beginning); });
}

absl::Status ErrorList::ToStatus() const {
  if (empty()) return absl::OkStatus();
  const std::string more =
      untold_ == 0 ? "" : absl::StrCat("\nand ", untold_, untold_ == 1 ? " error more" : " errors more");
  return absl::Status(code_, absl::StrCat(absl::StrJoin(lines_, "\n"), more));
}

}  // namespace samovar
