#include "common/storage/storage_table.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/storage/write_file.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

absl::StatusOr<std::string> ReadRange(const StorageTable& table, const std::string& uri, uint64_t offset,
                                      uint64_t bytes) {
  auto reader = table.OpenRange(uri, offset, bytes);
  if (!reader.ok()) return reader.status();
  std::string text;
  char piece[3];
  while (true) {
    const absl::StatusOr<size_t> count = (*reader)->Read(piece);
    if (!count.ok()) return count.status();
    text.append(piece, *count);
    if (*count < sizeof(piece)) return text;
  }
}

TEST_CASE("a path, with or without the scheme of files, is fetched without a copy") {
  const StorageTable table;
  for (const char* const uri : {"/a/b", "file:/a/b", "file:///a/b", "file://localhost/a/b"}) {
    INFO(uri);
    CHECK(table.Fetch(uri).value() == "/a/b");
  }
  for (const char* const path : {"a", "C:/a", "a:b/c", "file"}) CHECK(table.Fetch(path).value() == path);
}

TEST_CASE("whatever is asked of a scheme that is not offered is refused with the schemes that are") {
  StorageTable table;
  const auto refused = [&table](const std::string& uri, const std::string& text) {
    INFO(uri);
    const auto write = [](int) { return absl::OkStatus(); };
    for (const absl::Status& status :
         {table.StorageFor(uri).status(), table.Fetch(uri).status(), table.Put(uri, write), table.PutBytes(uri, "x"),
          table.List(uri).status(), table.Remove(uri), table.OpenRange(uri, 0, 1).status()}) {
      REQUIRE_STATUS(status, absl::StatusCode::kInvalidArgument, text);
    }
  };
  const std::string offered = " is not offered; give a path of this machine, with or without \"file:\"";
  refused("wasb:///x", "wasb:///x: the scheme \"wasb:\"" + offered);
  refused("hdfs://h/x", "hdfs://h/x: the scheme \"hdfs:\"" + offered);
  refused("file://host/x", "file://host/x: a file of another machine" + offered);
  CHECK_FALSE(std::filesystem::exists("wasb:"));
  const TempDir dir;
  table.Add("mem", std::make_shared<MountedStorage>(dir.path()));
  refused("s3://b/x", "the scheme \"s3:\"" + offered + ", or a URI with \"mem:\"");
}

TEST_CASE("a scheme that a table was given is used for its URIs alone, and by that table and its copies alone") {
  const TempDir dir;
  const auto mounted = std::make_shared<MountedStorage>(dir.path());
  StorageTable table;
  table.Add("mem", mounted);
  const StorageTable copy = table;
  REQUIRE_OK(copy.PutBytes("mem:/a/b", "text"));
  CHECK(BytesOf(dir.File("a/b")) == "text");
  CHECK(BytesOf(table.Fetch("mem:/a/b").value()) == "text");
  CHECK(table.Fetch("mem").value() == "mem");
  CHECK(mounted->calls() == std::vector<std::string>{"put mem:/a/b", "fetch mem:/a/b"});
  REQUIRE_STATUS(StorageTable().Fetch("mem:/a/b"), absl::StatusCode::kInvalidArgument, "is not offered");
}

TEST_CASE("what is put is there whole, or what was there before stays") {
  const TempDir dir;
  const StorageTable table;
  const std::string uri = "file:" + dir.File("new/file");
  REQUIRE_OK(table.PutBytes(uri, "first"));
  const absl::Status failed = table.Put(uri, [&](int fd) {
    REQUIRE_OK(WriteAll(uri, "sec", fd));
    return absl::UnavailableError("no more");
  });
  REQUIRE_STATUS(failed, absl::StatusCode::kUnavailable, "no more");
  CHECK(BytesOf(dir.File("new/file")) == "first");
  const auto listed = table.List(dir.File("new"));
  REQUIRE(listed.value().size() == 1);
  CHECK(listed->at(0).name == "file");
}

TEST_CASE("a file is created by one of many, and its creator who lost the answer is told that it is there") {
  const TempDir dir;
  const StorageTable storage;
  const std::string path = dir.File("new/file");
  std::vector<std::thread> threads;
  std::atomic<int> created{0};
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      if (storage.Create(path, absl::StrCat("writer ", i)).ok()) ++created;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(created == 1);
  REQUIRE_STATUS(storage.Create(path, "another"), absl::StatusCode::kAlreadyExists, path);
  const auto bytes = storage.ReadBytes(path, 100);
  REQUIRE_OK(bytes);
  REQUIRE_OK(storage.Create(path, *bytes));
  CHECK(storage.List(dir.File("new"))->size() == 1);
  REQUIRE_STATUS(storage.ReadBytes(path, 3), absl::StatusCode::kResourceExhausted, path);
}

TEST_CASE("a directory is made with those above it, and whether a file could be written is told without making one") {
  const TempDir dir;
  const StorageTable table;
  REQUIRE_OK(table.CheckWritable("file:" + dir.File("a/b/c")));
  CHECK(table.List(dir.path())->empty());
  REQUIRE_OK(table.MakeDirectory("file:" + dir.File("a/b")));
  REQUIRE_OK(table.MakeDirectory(dir.File("a/b")));
  CHECK(table.Stat(dir.File("a/b"))->is_directory);
  REQUIRE_OK(table.PutBytes(dir.File("file"), "x"));
  for (const absl::Status& refused :
       {table.CheckWritable(dir.File("file/a")), table.MakeDirectory(dir.File("file/a"))}) {
    CHECK_FALSE(refused.ok());
    CHECK_FALSE(absl::IsNotFound(refused));
  }
  REQUIRE_STATUS(table.CheckWritable("s3://b/x"), absl::StatusCode::kInvalidArgument, "is not offered");
}

TEST_CASE("a range of a file is read, as far as the file goes") {
  const TempDir dir;
  const StorageTable table;
  const std::string path = dir.File("digits");
  REQUIRE_OK(table.PutBytes(path, "0123456789"));
  CHECK(ReadRange(table, path, 0, 10).value() == "0123456789");
  CHECK(ReadRange(table, path, 2, 5).value() == "23456");
  CHECK(ReadRange(table, path, 8, 5).value() == "89");
  CHECK(ReadRange(table, path, 12, 5).value().empty());
  CHECK(ReadRange(table, path, 1, UINT64_MAX).value() == "123456789");
  CHECK((*table.OpenRange(path, 3, 1))->file_bytes() == 10);
  REQUIRE_STATUS(table.OpenRange(dir.path(), 0, 1), absl::StatusCode::kInvalidArgument, "is a directory");
  REQUIRE_STATUS(table.OpenRange(dir.File("no"), 0, 1), absl::StatusCode::kNotFound, dir.File("no"));
}

TEST_CASE("files and empty directories are removed, and it is known what there is") {
  const TempDir dir;
  const StorageTable table;
  REQUIRE_OK(table.PutBytes(dir.File("a/file"), "x"));
  CHECK(table.Exists(dir.File("a")));
  CHECK(table.Exists(dir.File("a/file")));
  CHECK_FALSE(table.Exists(dir.File("a/file/below")));
  CHECK_FALSE(table.Remove(dir.File("a")).ok());
  REQUIRE_OK(table.Remove(dir.File("a/file")));
  CHECK_FALSE(table.Exists(dir.File("a/file")));
  REQUIRE_STATUS(table.Remove(dir.File("a/file")), absl::StatusCode::kNotFound, dir.File("a/file"));
  REQUIRE_OK(table.Remove(dir.File("a")));
  REQUIRE_STATUS(table.List(dir.File("a")), absl::StatusCode::kNotFound, dir.File("a"));
}

}  // namespace
}  // namespace samovar
