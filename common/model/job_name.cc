#include "common/model/job_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/printable.h"

namespace samovar {
namespace {

absl::Status Refused(const std::string& name, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("job id \"", Printable(name, 2 * kMaxJobNameLength), "\": ", rule));
}

}  // namespace

absl::Status CheckJobName(const std::string& name) {
  const bool fits =
      !name.empty() && name.size() <= kMaxJobNameLength && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
      });
  return fits ? absl::OkStatus() : Refused(name, "use 1 to 64 letters, digits, '-', '_' and '.'");
}

absl::Status CheckNewJobName(const std::string& name) {
  if (const absl::Status known = CheckJobName(name); !known.ok()) return known;
  if (name[0] != '-' && name[0] != '.') return absl::OkStatus();
  return Refused(name, "begin with a letter, a digit or '_'");
}

}  // namespace samovar
