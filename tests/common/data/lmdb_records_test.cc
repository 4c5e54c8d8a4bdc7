#include "common/data/lmdb_records.h"

#include <filesystem>

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  std::shared_ptr<const LmdbRecords> Open(const std::string& at) {
    auto records = LmdbRecords::Open(at);
    REQUIRE_OK(records);
    return *std::move(records);
  }

  TempDir directory;
  std::string path = directory.File("lmdb");
};

TEST_CASE_METHOD(Fixture, "a directory has one object, by whatever path, until its last owner lets it go") {
  WriteRecords(path, {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  auto records = Open(path);
  const LmdbRecords* const first = records.get();
  std::filesystem::create_directory_symlink(path, directory.File("link"));
  REQUIRE(Open(directory.File("link")).get() == first);
  records.reset();
  REQUIRE(Open(path)->size() == 3);
}

TEST_CASE_METHOD(Fixture, "values and keys are in the order of keys") {
  WriteRecords(path, {{"b", "2"}, {"a", "1"}});
  const auto records = Open(path);
  CHECK(records->value(0) == "1");
  CHECK(records->value(1) == "2");
  std::vector<std::string> keys = {"before"};
  REQUIRE_OK(records->AppendKeys(&keys));
  CHECK(keys == std::vector<std::string>{"before", "a", "b"});
  CHECK(records->NameOf(1) == path + ", key \"b\"");
}

}  // namespace
}  // namespace samovar
