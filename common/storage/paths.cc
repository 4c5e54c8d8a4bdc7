#include "common/storage/paths.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/storage/file_digest.h"

namespace samovar {
namespace {

bool HaveSameContent(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(a, error) || !std::filesystem::is_regular_file(b, error)) return false;
  if (std::filesystem::file_size(a, error) != std::filesystem::file_size(b, error) || error) return false;
  const absl::StatusOr<std::string> first = DigestOfLocalFile(a.string());
  const absl::StatusOr<std::string> second = DigestOfLocalFile(b.string());
  return first.ok() && second.ok() && *first == *second;
}

bool IsInStorage(const std::string& file) { return !SchemeOf(WithoutFileScheme(file)).empty(); }

}  // namespace

absl::string_view SchemeOf(absl::string_view uri) {
  const absl::string_view scheme = uri.substr(0, uri.find(":/"));
  const bool known = scheme.size() >= 2 && scheme.size() < uri.size() &&
                     std::all_of(scheme.begin(), scheme.end(), [](unsigned char c) { return absl::ascii_isalnum(c); });
  return known ? scheme : absl::string_view();
}

std::string WithoutFileScheme(const std::string& path) {
  absl::string_view rest = path;
  if (!absl::ConsumePrefix(&rest, "file:")) return path;
  if (!absl::StartsWith(rest, "//")) return std::string(rest);
  absl::string_view behind_host = rest.substr(2);
  absl::ConsumePrefix(&behind_host, "localhost");
  return absl::StartsWith(behind_host, "/") ? std::string(behind_host) : path;
}

absl::StatusOr<std::string> LocalPath(const std::string& path) {
  std::string local = WithoutFileScheme(path);
  if (SchemeOf(local).empty()) return local;
  return absl::InvalidArgumentError(NotOffered(local));
}

std::string NotOffered(const std::string& uri) {
  const absl::string_view scheme = SchemeOf(uri);
  const std::string what =
      scheme == kFileScheme ? "a file of another machine" : absl::StrCat("the scheme \"", scheme, ":\"");
  return absl::StrCat(uri, ": ", what, " is not offered; give a path of this machine, with or without \"file:\"");
}

bool IsAbsolutePath(absl::string_view path) {
  return absl::StartsWith(path, "/") && !absl::StrContains(path, absl::string_view("\0", 1));
}

bool IsSamePlaceEverywhere(absl::string_view path) {
  return IsAbsolutePath(path) || (!SchemeOf(path).empty() && !absl::StrContains(path, absl::string_view("\0", 1)));
}

std::string WithoutQuery(const std::string& uri) {
  const absl::string_view scheme = SchemeOf(uri);
  return scheme == "http" || scheme == "https" ? uri.substr(0, uri.find_first_of("?#")) : uri;
}

std::string FindFile(const std::string& uri_or_path, const std::string& referring_file) {
  const std::string path = WithoutFileScheme(uri_or_path);
  if (path.empty() || !SchemeOf(path).empty() || IsAbsolutePath(path)) return path;
  if (IsInStorage(referring_file)) {
    const std::string named = WithoutQuery(referring_file);
    return absl::StrCat(named.substr(0, named.rfind('/') + 1), path);
  }
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return path;
  const std::filesystem::path beside = std::filesystem::path(referring_file).parent_path() / path;
  return std::filesystem::exists(beside, ignored) ? beside.string() : path;
}

std::string FindPassedOver(const std::string& uri_or_path, const std::string& referring_file) {
  const std::string path = WithoutFileScheme(uri_or_path);
  if (path.empty() || !SchemeOf(path).empty() || IsAbsolutePath(path) || IsInStorage(referring_file)) return "";
  const std::filesystem::path beside = std::filesystem::path(referring_file).parent_path() / path;
  std::error_code error;
  if (!std::filesystem::exists(path, error) || !std::filesystem::exists(beside, error)) return "";
  if (std::filesystem::equivalent(path, beside, error) || error) return "";
  return HaveSameContent(path, beside) ? "" : beside.string();
}

std::string DescribePassedOver(const std::string& path, const std::string& referring_file) {
  const std::string other = FindPassedOver(path, referring_file);
  if (other.empty()) return "";
  return absl::StrCat("there are two of the name ", path,
                      ", and they differ: the one in the current directory is taken, as Caffe does, and ", other,
                      ", beside ", referring_file, ", is not; write a path that names one of them");
}

std::string ResolvePath(const std::string& path, const std::string& referring_file) {
  const std::string found = FindFile(path, referring_file);
  if (found.empty() || !SchemeOf(found).empty()) return found;
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(found, error);
  return error ? found : absolute.lexically_normal().string();
}

}  // namespace samovar
