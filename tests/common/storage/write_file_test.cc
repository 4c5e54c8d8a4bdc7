#include "common/storage/write_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/list_directory.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

// The number of a process that has gone.
pid_t GoneProcess() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  return child;
}

TEST_CASE("what processes that have gone left unfinished is removed, and nothing else") {
  const TempDir dir;
  const pid_t gone = GoneProcess();
  const std::vector<std::string> kept = {
      absl::StrCat("m.", getpid(), ".0.tmp"),  // its process lives
      absl::StrCat("other.", gone, ".0.tmp"),  // not ours
      absl::StrCat("m.", gone, ".tmp"),        // one number only
      absl::StrCat("m.", gone, ".x.tmp"),      // no number
      absl::StrCat("m.", gone, ".0"),          // another ending
      "m.0.0.tmp",                             // no process
      "m.99999999999999999999.0.tmp",          // no process either
      "m",
  };
  for (const std::string& name : kept) std::ofstream(dir.File(name)) << "x";
  std::ofstream(dir.File(absl::StrCat("m.", gone, ".0.tmp"))) << "x";
  std::ofstream(dir.File(absl::StrCat("m.", gone, ".17.tmp"))) << "x";
  RemoveAbandoned(dir.path(), [](absl::string_view name) { return name == "m"; });
  std::vector<std::string> expected = kept;
  std::sort(expected.begin(), expected.end());
  CHECK(ListDirectory(dir.path()).value() == expected);
  RemoveAbandoned(dir.File("nowhere"), [](absl::string_view) { return true; });
}

TEST_CASE("a file that can be written is told from one that cannot, and nothing is made") {
  const TempDir dir;
  std::ofstream(dir.File("file")) << "x";
  const std::string name(255 - 20, 'n');
  for (const std::string& path :
       {dir.File("m"), dir.File("file"), dir.File("a/b/m"), dir.File(name), std::string("m")}) {
    INFO(path);
    REQUIRE_OK(CheckWritable(path));
  }
  const auto refused = [](const std::string& path, const std::string& text) {
    INFO(path);
    const absl::Status status = CheckWritable(path);
    REQUIRE_FALSE(status.ok());
    CHECK_THAT(std::string(status.message()), Catch::Contains(text));
  };
  refused(dir.File("file/m"), "Not a directory");
  refused(dir.File("file/a/m"), "Not a directory");
  refused(dir.File(name + "nn"), "File name too long");
  refused(dir.File("new/" + std::string(256, 'd') + "/m"), "File name too long");
  CHECK(ListDirectory(dir.path()).value() == std::vector<std::string>{"file"});
}

}  // namespace
}  // namespace samovar
