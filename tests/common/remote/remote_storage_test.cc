#include "common/remote/remote_storage.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "common/storage/write_file.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::string TextOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Files in memory, by their URI.
class MemoryStore : public RemoteStore {
 public:
  absl::StatusOr<StoredFile> Stat(const std::string& uri) override {
    absl::MutexLock lock(&mu);
    if (const auto found = files.find(uri); found != files.end()) return FileOf(found->second);
    const auto below = files.lower_bound(uri + "/");
    if (below != files.end() && absl::StartsWith(below->first, uri + "/")) return StoredFile{.is_directory = true};
    return absl::NotFoundError(absl::StrCat(uri, ": there is nothing"));
  }
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& uri) override {
    absl::MutexLock lock(&mu);
    std::map<std::string, StoredFile> listed;
    for (const auto& [name, text] : files) {
      absl::string_view rest = name;
      if (!absl::ConsumePrefix(&rest, uri + "/")) continue;
      const std::string first(rest.substr(0, rest.find('/')));
      StoredFile file = FileOf(text);
      if (first.size() != rest.size()) file = {.is_directory = true};
      file.name = first;
      listed[first] = file;
    }
    std::vector<StoredFile> result;
    for (auto& [name, file] : listed) result.push_back(file);
    return result;
  }
  absl::Status Read(const std::string& uri, const StoredFile& file, uint64_t offset, std::span<char> out) override {
    absl::MutexLock lock(&mu);
    ++reads;
    if (changes_while_read.erase(uri) != 0) files[uri] = std::string(files[uri].size(), '!');
    if (FileOf(files.at(uri)).version != file.version) return absl::AbortedError(absl::StrCat(uri, ": was changed"));
    files.at(uri).copy(out.data(), out.size(), offset);
    largest_read = std::max(largest_read, out.size());
    return absl::OkStatus();
  }
  absl::Status Write(const std::string& uri, int fd, uint64_t bytes) override {
    std::string text(bytes, '\0');
    if (pread(fd, text.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return absl::DataLossError("short");
    absl::MutexLock lock(&mu);
    files[uri] = text;
    return absl::OkStatus();
  }
  absl::Status Create(const std::string& uri, absl::string_view bytes) override {
    absl::MutexLock lock(&mu);
    if (!files.emplace(uri, bytes).second) return absl::AlreadyExistsError(uri);
    return absl::OkStatus();
  }
  absl::Status MakeDirectory(const std::string&) override { return absl::OkStatus(); }
  absl::Status CheckWritable(const std::string& uri) override { return absl::PermissionDeniedError(uri); }
  absl::Status Remove(const std::string& uri) override {
    absl::MutexLock lock(&mu);
    return files.erase(uri) != 0 ? absl::OkStatus() : absl::NotFoundError(uri);
  }

  absl::Mutex mu;
  std::map<std::string, std::string> files;
  std::set<std::string> changes_while_read;
  int reads = 0;
  size_t largest_read = 0;

 private:
  static StoredFile FileOf(const std::string& text) {
    return {.bytes = text.size(), .version = absl::StrCat(std::hash<std::string>()(text))};
  }
};

struct Fixture {
  TempDir directory;
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::vector<std::string> news;
  RemoteStorage storage{store, std::make_shared<FileCache>(FileCache::Options{.directory = directory.File("cache")}),
                        [this](const std::string& text) { news.push_back(text); }};
};

TEST_CASE_METHOD(Fixture, "a file is fetched once for each of its contents, under its own name") {
  store->files["m:/a/net.prototxt"] = "one";
  const auto first = storage.Fetch("m:/a/net.prototxt");
  REQUIRE_OK(first);
  CHECK(TextOf(*first) == "one");
  CHECK(absl::EndsWith(*first, "/net.prototxt"));
  CHECK(storage.Fetch("m:/a/net.prototxt").value() == *first);
  CHECK(store->reads == 1);
  store->files["m:/a/net.prototxt"] = "two";
  const auto second = storage.Fetch("m:/a/net.prototxt");
  REQUIRE_OK(second);
  CHECK(TextOf(*second) == "two");
  CHECK(TextOf(*first) == "one");
}

TEST_CASE_METHOD(Fixture, "a large file comes in pieces, and is told of before") {
  std::string text(RemoteStorage::kToldBytes + 5, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 + (i >> 12));
  store->files["m:/large"] = text;
  const auto path = storage.Fetch("m:/large");
  REQUIRE_OK(path);
  CHECK(TextOf(*path) == text);
  CHECK(store->reads == static_cast<int>(RemoteStorage::kToldBytes / kRemotePieceBytes) + 1);
  CHECK(store->largest_read == kRemotePieceBytes);
  CHECK(news == std::vector<std::string>{"fetches m:/large: 1 file, 64 MiB"});
}

TEST_CASE_METHOD(Fixture, "a directory is fetched with all that is in it, empty files included") {
  store->files["m:/set/manifest"] = "manifest";
  store->files["m:/set/part-0/data.mdb"] = "data";
  store->files["m:/set/part-0/empty"] = "";
  const auto path = storage.Fetch("m:/set");
  REQUIRE_OK(path);
  CHECK(TextOf(*path + "/manifest") == "manifest");
  CHECK(TextOf(*path + "/part-0/data.mdb") == "data");
  CHECK(std::filesystem::file_size(*path + "/part-0/empty") == 0);
  store->files["m:/set/part-0/data.mdb"] = "atad";
  CHECK(TextOf(storage.Fetch("m:/set").value() + "/part-0/data.mdb") == "atad");
}

TEST_CASE_METHOD(Fixture, "a file that changes while it is fetched is not taken for either") {
  store->files["m:/a"] = std::string(kRemotePieceBytes * 2, 'x');
  store->changes_while_read = {"m:/a"};
  REQUIRE_STATUS(storage.Fetch("m:/a").status(), absl::StatusCode::kAborted, "m:/a");
  CHECK(TextOf(storage.Fetch("m:/a").value()) == std::string(kRemotePieceBytes * 2, '!'));
}

TEST_CASE_METHOD(Fixture, "what is written is there when it is whole, and else as it was") {
  REQUIRE_OK(storage.Put("m:/out", [](int fd) { return WriteAll("out", "first", fd); }));
  CHECK(store->files["m:/out"] == "first");
  REQUIRE_STATUS(storage.Put("m:/out",
                             [](int fd) {
                               REQUIRE_OK(WriteAll("out", "half", fd));
                               return absl::ResourceExhaustedError("full");
                             }),
                 absl::StatusCode::kResourceExhausted, "cannot write m:/out: full");
  CHECK(store->files["m:/out"] == "first");
}

TEST_CASE_METHOD(Fixture, "ranges, lists and removals are the store's") {
  store->files["m:/d/a"] = "0123456789";
  store->files["m:/d/b/c"] = "x";
  auto range = storage.OpenRange("m:/d/a", 3, 4);
  REQUIRE_OK(range);
  CHECK((*range)->file_bytes() == 10);
  char out[8];
  CHECK((*range)->Read(out).value() == 4);
  CHECK(std::string(out, 4) == "3456");
  CHECK((*range)->Read(out).value() == 0);
  CHECK((*storage.OpenRange("m:/d/a", 20, 4))->Read(out).value() == 0);
  REQUIRE_STATUS(storage.OpenRange("m:/d", 0, 1).status(), absl::StatusCode::kInvalidArgument, "is a directory");
  REQUIRE_STATUS(storage.OpenRange("m:/e", 0, 1).status(), absl::StatusCode::kNotFound, "m:/e");
  const auto listed = storage.List("m:/d");
  REQUIRE(listed.value().size() == 2);
  CHECK(listed->at(0).name == "a");
  CHECK(listed->at(1).is_directory);
  CHECK(storage.Stat("m:/d/a")->bytes == 10);
  REQUIRE_OK(storage.Remove("m:/d/a"));
  REQUIRE_STATUS(storage.Fetch("m:/d/a").status(), absl::StatusCode::kNotFound, "there is nothing");
}

TEST_CASE_METHOD(Fixture, "names that would lead out of the cache are refused") {
  class Sly : public MemoryStore {
   public:
    absl::StatusOr<StoredFile> Stat(const std::string&) override { return StoredFile{.is_directory = true}; }
    absl::StatusOr<std::vector<StoredFile>> List(const std::string&) override {
      return std::vector<StoredFile>{{.name = "../evil", .bytes = 1}};
    }
  };
  RemoteStorage sly(std::make_shared<Sly>(),
                    std::make_shared<FileCache>(FileCache::Options{.directory = directory.File("c")}), nullptr);
  REQUIRE_STATUS(sly.Fetch("m:/set").status(), absl::StatusCode::kInvalidArgument, "../evil");
}

}  // namespace
}  // namespace samovar
