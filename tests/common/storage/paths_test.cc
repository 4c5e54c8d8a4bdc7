#include "common/storage/paths.h"

#include <filesystem>
#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {

TEST_CASE("the scheme of local files is taken off, and no other") {
  for (const char* const uri : {"file:/a/b", "file:///a/b", "file://localhost/a/b", "/a/b"})
    CHECK(WithoutFileScheme(uri) == "/a/b");
  CHECK(WithoutFileScheme("file:a/b") == "a/b");
  CHECK(WithoutFileScheme("file:").empty());
  for (const char* const other : {"file://host/a", "file://localhosts/a", "hdfs:///a", "profile:/a", "a/file:/b"})
    CHECK(WithoutFileScheme(other) == other);
}

TEST_CASE("a path to be written is of this machine, and another scheme is refused with what there is") {
  for (const char* const path : {"out/a", "/out/a", "C:/a", "a:b/c"}) CHECK(LocalPath(path).value() == path);
  CHECK(LocalPath("file:///out/a").value() == "/out/a");
  for (const char* const uri : {"wasb:///a", "hdfs://host/a", "abfss://c@h/a", "s3://b/a", "file://host/a"}) {
    INFO(uri);
    REQUIRE_STATUS(LocalPath(uri), absl::StatusCode::kInvalidArgument, "is not offered");
  }
}

TEST_CASE("a name in a file that is in a storage means the one beside it, whatever the current directory has") {
  const TempDir directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  std::ofstream("net.prototxt") << "x";
  const std::string solver = "hdfs://host/nets/solver.prototxt";
  CHECK(FindFile("net.prototxt", solver) == "hdfs://host/nets/net.prototxt");
  CHECK(ResolvePath("./net.prototxt", solver) == "hdfs://host/nets/./net.prototxt");
  CHECK(FindPassedOver("net.prototxt", solver).empty());
  CHECK(FindFile(directory.File("net.prototxt"), solver) == directory.File("net.prototxt"));
  std::filesystem::current_path(before);
}

TEST_CASE("a name beside a URL with a query is beside its path, and does not get the query") {
  const std::string solver = "https://h/p/solver.prototxt?sig=a/b%2Fc";
  CHECK(FindFile("net.prototxt", solver) == "https://h/p/net.prototxt");
  CHECK(FindFile("net.prototxt?sig=d", solver) == "https://h/p/net.prototxt?sig=d");
  CHECK(WithoutQuery(solver) == "https://h/p/solver.prototxt");
  CHECK(WithoutQuery("http://h/p#/x") == "http://h/p");
  // Elsewhere it is a character of a name.
  CHECK(FindFile("b", "hdfs://h/p?/a") == "hdfs://h/p?/b");
  CHECK(WithoutQuery("/a?b/c") == "/a?b/c");
}

TEST_CASE("a name is looked for from the current directory, then beside the file that has it") {
  const TempDir directory;
  std::ofstream(directory.File("there")) << "x";
  const std::string net = directory.File("net.prototxt");
  CHECK(FindFile("there", net) == directory.File("there"));
  CHECK(FindFile("file:there", net) == directory.File("there"));
  CHECK(FindFile("nowhere", net) == "nowhere");
  CHECK(FindFile("/nowhere", net) == "/nowhere");
  CHECK(FindFile("", net).empty());
  CHECK(FindFile("hdfs://host/there", net) == "hdfs://host/there");
  CHECK(ResolvePath("file:///a/../b", net) == "/b");
  // Whether it is there its reader says: nobody asks a storage for a name.
  CHECK(FindFile("sub/there", "hdfs://host/nets/net.prototxt") == "hdfs://host/nets/sub/there");
  CHECK(ResolvePath("there", "wasbs://c@a/net.prototxt") == "wasbs://c@a/there");
  CHECK(FindFile("/there", "hdfs://host/nets/net.prototxt") == "/there");
  CHECK(ResolvePath("nowhere", net) == (std::filesystem::current_path() / "nowhere").string());
}

TEST_CASE(
    "of two files of one name the one in the current directory is taken, and the other one is told if it differs") {
  const TempDir directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directory(directory.File("here"));
  std::filesystem::create_directory(directory.File("there"));
  std::filesystem::current_path(directory.File("here"));
  const std::string solver = directory.File("there/solver.prototxt");
  const auto passed_over = [&](const std::string& here, const std::string& there) {
    std::ofstream("net.prototxt") << here;
    std::ofstream(directory.File("there/net.prototxt")) << there;
    return FindPassedOver("net.prototxt", solver);
  };
  CHECK(FindPassedOver("net.prototxt", solver).empty());
  CHECK(passed_over("one", "one").empty());
  CHECK(passed_over("one", "two") == directory.File("there/net.prototxt"));
  CHECK(passed_over("one", "longer") == directory.File("there/net.prototxt"));
  CHECK(FindFile("net.prototxt", solver) == "net.prototxt");
  CHECK_THAT(DescribePassedOver("net.prototxt", solver), Catch::Contains("the one in the current directory is taken") &&
                                                             Catch::Contains(directory.File("there/net.prototxt")));
  // The same file by two ways is one.
  CHECK(FindPassedOver("net.prototxt", directory.File("here/solver.prototxt")).empty());
  CHECK(FindPassedOver(directory.File("here/net.prototxt"), solver).empty());
  // Of directories nothing is compared but whether they are one.
  std::filesystem::create_directory("lmdb");
  std::filesystem::create_directory(directory.File("there/lmdb"));
  CHECK(FindPassedOver("lmdb", solver) == directory.File("there/lmdb"));
  std::filesystem::current_path(before);
}

}  // namespace samovar
