#include "common/caffe/paths.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace samovar {
namespace {

// "hdfs://host/x", "file:/x": a scheme of two letters at least.
bool IsUri(absl::string_view path) {
  const size_t colon = path.find(":/");
  if (colon == absl::string_view::npos || colon < 2) return false;
  for (char c : path.substr(0, colon)) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

}  // namespace

std::string FindFile(const std::string& path, const std::string& referring_file) {
  if (path.empty() || IsUri(path) || absl::StartsWith(path, "/")) return path;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return path;
  const std::filesystem::path beside = std::filesystem::path(referring_file).parent_path() / path;
  return std::filesystem::exists(beside, ignored) ? beside.string() : path;
}

std::string ResolvePath(const std::string& path, const std::string& referring_file) {
  const std::string found = FindFile(path, referring_file);
  if (found.empty() || IsUri(found)) return found;
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(found, error);
  return error ? found : absolute.lexically_normal().string();
}

}  // namespace samovar
