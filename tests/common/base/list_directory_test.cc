#include "common/base/list_directory.h"

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

TEST_CASE("a directory's names are listed in their order, whatever they are of") {
  const TempDir dir;
  CHECK(ListDirectory(dir.path())->empty());
  std::filesystem::create_directory(dir.File("part-1"));
  std::ofstream(dir.File(".hidden")) << "1";
  std::filesystem::create_symlink("nowhere", dir.File("link"));
  CHECK(*ListDirectory(dir.path()) == std::vector<std::string>{".hidden", "link", "part-1"});
}

TEST_CASE("a directory that cannot be listed is an error that names it") {
  const TempDir dir;
  REQUIRE_STATUS(ListDirectory(dir.File("none")), absl::StatusCode::kNotFound, "cannot list " + dir.File("none"));
  std::ofstream(dir.File("file")) << "1";
  CHECK_FALSE(ListDirectory(dir.File("file")).ok());
}

}  // namespace
}  // namespace samovar
