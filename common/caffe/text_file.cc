#include "common/caffe/text_file.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr absl::string_view kUtf8Mark = "\xef\xbb\xbf";
// Those of UTF-32 begin with these, or with zeros.
constexpr absl::string_view kUtf16Marks[] = {"\xff\xfe", "\xfe\xff"};

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path, uint64_t max_bytes, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  SAMOVAR_ASSIGN_OR_RETURN(std::string text, ReadFile(local, max_bytes));
  if (absl::StartsWith(text, kUtf8Mark)) return text.substr(kUtf8Mark.size());
  for (const absl::string_view mark : kUtf16Marks) {
    if (!absl::StartsWith(text, mark)) continue;
    return absl::InvalidArgumentError(absl::StrCat(path,
                                                   " begins with the byte order mark of UTF-16; save it in the "
                                                   "encoding UTF-8, or convert it: iconv -f UTF-16 -t UTF-8"));
  }
  return text;
}

}  // namespace samovar
