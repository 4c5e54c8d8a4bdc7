#include "common/data/leveldb_advice.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace samovar {

namespace fs = std::filesystem;

bool IsLevelDb(const std::string& directory) {
  std::error_code error;
  return fs::is_regular_file(directory + "/CURRENT", error) && !fs::exists(directory + "/data.mdb", error);
}

std::string LevelDbAdvice(const std::string& source) {
  const std::string path(absl::StripSuffix(source.empty() ? "DIR" : source, "/"));
  return absl::StrCat("make an LMDB of it with `samovar data import leveldb --input ", path, " --output ", path,
                      "_lmdb`, and write source: \"", path, "_lmdb\" backend: LMDB");
}

}  // namespace samovar
