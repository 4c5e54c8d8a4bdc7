#include "common/data/image_list.h"

#include <filesystem>

#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  absl::StatusOr<std::vector<ListedImage>> Read(const std::string& text) {
    WriteBytes(path, text);
    return ReadImageList(path, StorageTable());
  }

  TempDir directory;
  std::string path = directory.File("list.txt");
};

TEST_CASE_METHOD(Fixture, "a byte order mark is not part of the first name") {
  const auto images = Read(
      "\xef\xbb\xbf"
      "a.png 0\n");
  REQUIRE_OK(images);
  REQUIRE((*images)[0].name == "a.png");
}

TEST_CASE_METHOD(Fixture, "a line is a name and, behind its last space, a label") {
  const auto images = Read("a.png 0\n\n  cats and dogs/b c.jpg \t 12 \r\n/abs.png -3\nlast.png\t7");
  REQUIRE_OK(images);
  REQUIRE(images->size() == 4);
  const auto is = [&](size_t i, const std::string& name, int label, int line) {
    return (*images)[i].name == name && (*images)[i].label == label && (*images)[i].line == line;
  };
  REQUIRE(is(0, "a.png", 0, 1));
  REQUIRE(is(1, "cats and dogs/b c.jpg", 12, 3));
  REQUIRE(is(2, "/abs.png", -3, 4));
  REQUIRE(is(3, "last.png", 7, 5));
  REQUIRE(PlaceOf(path, (*images)[1]) == path + ":3");
}

TEST_CASE_METHOD(Fixture, "a line without a name or a whole number as label is refused by its number") {
  for (const char* const line :
       {"b.png", "b.png one", "b.png 1.5", "7", "b.png 99999999999", "\x01\xff\xfe", "b.png 1 x"}) {
    INFO(line);
    REQUIRE_STATUS(Read(std::string("a.png 0\n\n") + line + "\nc.png 1\n"), absl::StatusCode::kInvalidArgument,
                   path + ":3: the line is not \"NAME LABEL\"");
  }
}

TEST_CASE_METHOD(Fixture, "a list that is missing, or lists nothing, is refused") {
  REQUIRE_STATUS(ReadImageList(path, StorageTable()), absl::StatusCode::kNotFound, path);
  REQUIRE_STATUS(Read("\n \r\n"), absl::StatusCode::kInvalidArgument, path + ": lists no images; write a line");
  REQUIRE_STATUS(ReadFileList(path, StorageTable()), absl::StatusCode::kInvalidArgument,
                 path + ": lists no files; write a line");
  REQUIRE_STATUS(ReadImageList(directory.path(), StorageTable()), absl::StatusCode::kInvalidArgument, "is a directory");
}

TEST_CASE_METHOD(Fixture, "a list of files has a name in each line that is not empty") {
  WriteBytes(path, "a.h5\r\n\n  b c.h5  \nd.h5");
  const auto files = ReadFileList(path, StorageTable());
  REQUIRE_OK(files);
  REQUIRE(files->size() == 3);
  REQUIRE((*files)[0].name == "a.h5");
  REQUIRE((*files)[1].name == "b c.h5");
  REQUIRE((*files)[2].name == "d.h5");
  REQUIRE(PlaceOf(path, (*files)[1]) == path + ":3");
}

TEST_CASE_METHOD(
    Fixture, "a relative name is looked for in the current directory and in the list's, an absolute one in neither") {
  const std::string here = std::filesystem::current_path().string();
  REQUIRE(WhereLookedFor("a.png", path) == "; a relative name is looked for in the current directory, " + here +
                                               ", and in the list's, " + directory.path());
  REQUIRE(WhereLookedFor("a.png", "hdfs://h/d/list.txt") ==
          "; a relative name in a list that is in a storage means a file beside the list");
  REQUIRE(WhereLookedFor("a.png", "list.txt") == "; a relative name is looked for in the current directory, " + here);
  REQUIRE(WhereLookedFor("/a.png", path).empty());
}

TEST_CASE("root and name have one slash between them") {
  REQUIRE(ImagePath("", "a/b.png") == "a/b.png");
  REQUIRE(ImagePath("root", "b.png") == "root/b.png");
  REQUIRE(ImagePath("root/", "b.png") == "root/b.png");
  REQUIRE(ImagePath("root", "/b.png") == "root/b.png");
}

}  // namespace
}  // namespace samovar
