#include "common/data/image_list.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/caffe/text_file.h"
#include "common/storage/paths.h"

namespace samovar {
namespace {

constexpr absl::string_view kHdf5Signature("\x89HDF\r\n\x1a\n", 8);
constexpr uint64_t kMaxListBytes = uint64_t{1} << 32;
constexpr uint64_t kMaxImageBytes = uint64_t{1} << 30;

// "NAME LABEL"
bool ParseLine(absl::string_view line, ListedImage* image) {
  const size_t space = line.find_last_of(" \t");
  if (space == absl::string_view::npos || !absl::SimpleAtoi(line.substr(space + 1), &image->label)) return false;
  image->name = std::string(absl::StripAsciiWhitespace(line.substr(0, space)));
  return !image->name.empty();
}

}  // namespace

absl::StatusOr<std::vector<ListedImage>> ReadImageList(const std::string& path, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, kMaxListBytes, storage));
  std::vector<ListedImage> images;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    images.emplace_back().line = number;
    if (!ParseLine(line, &images.back())) {
      return absl::InvalidArgumentError(
          absl::StrCat(PlaceOf(path, images.back()), ": the line is not \"NAME LABEL\" with a whole number as label"));
    }
  }
  if (images.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": lists no images; write a line \"NAME LABEL\" for each"));
  }
  return images;
}

absl::StatusOr<std::vector<ListedFile>> ReadFileList(const std::string& path, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, kMaxListBytes, storage));
  if (absl::StartsWith(text, kHdf5Signature)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is an HDF5 file; name a text file that lists it, a line for each file"));
  }
  std::vector<ListedFile> files;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty()) files.push_back({std::string(line), number});
  }
  if (files.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": lists no files; write a line for each"));
  return files;
}

std::string PlaceOf(const std::string& list, const ListedFile& file) { return absl::StrCat(list, ":", file.line); }

std::string WhereLookedFor(const std::string& path, const std::string& list) {
  if (path.empty() || IsAbsolutePath(path)) return "";
  if (!SchemeOf(list).empty()) return "; a relative name in a list that is in a storage means a file beside the list";
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  const std::filesystem::path beside = std::filesystem::absolute(list, error).parent_path().lexically_normal();
  return absl::StrCat("; a relative name is looked for in the current directory, ", here.string(),
                      here == beside ? "" : absl::StrCat(", and in the list's, ", beside.string()));
}

std::string ImagePath(const std::string& root, const std::string& name) {
  if (!SchemeOf(name).empty()) return name;
  const bool joined = root.empty() || root.back() == '/' || name.empty() || name.front() == '/';
  return absl::StrCat(root, joined ? "" : "/", name);
}

absl::StatusOr<std::string> ReadImageFile(const std::string& path, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  return ReadFile(local, kMaxImageBytes);
}

}  // namespace samovar
