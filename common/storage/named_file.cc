#include "common/storage/named_file.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

// The absolute path of a relative name in the current directory; empty: there is nothing.
std::string HereOf(const std::string& name) {
  std::error_code error;
  if (name.empty() || !SchemeOf(name).empty() || IsAbsolutePath(name) || !std::filesystem::exists(name, error))
    return "";
  return std::filesystem::absolute(name, error).lexically_normal().string();
}

}  // namespace

NamedFile FindNamedFile(const std::string& name, const std::string& referring_file, const StorageTable& storage) {
  const std::string beside = FindFile(name, referring_file);
  if (SchemeOf(referring_file).empty()) return {beside, DescribePassedOver(name, referring_file)};
  const std::string here = HereOf(WithoutFileScheme(name));
  if (here.empty()) return {beside, ""};
  const absl::Status found = storage.Stat(beside).status();
  // A web server answers a name that is a directory's with another place, which is no file either.
  if (absl::IsNotFound(found) || absl::IsInvalidArgument(found)) {
    return {here, absl::StrCat("there is no ", WithoutQuery(beside), ", beside the file that names it; ", here,
                               ", in the current directory, is taken")};
  }
  return {beside, absl::StrCat("there are two of the name ", name, ": ", WithoutQuery(beside),
                               ", beside the file that names it, is taken, and ", here,
                               ", in the current directory, is not; write a path that names one of them")};
}

}  // namespace samovar
