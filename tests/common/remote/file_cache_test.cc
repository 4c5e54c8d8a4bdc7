#include "common/remote/file_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::function<absl::Status(const std::string&)> Writer(const std::string& text, int* calls) {
  return [=](const std::string& directory) {
    ++*calls;
    std::ofstream(directory + "/file") << text;
    return absl::OkStatus();
  };
}

TEST_CASE("an entry is filled once, and found again by another cache, in the same directory") {
  const TempDir directory;
  int calls = 0;
  const FileCache::Options options = {.directory = directory.File("cache")};
  {
    FileCache cache(options);
    const auto entry = cache.Get("key", 4, Writer("text", &calls));
    REQUIRE_OK(entry);
    CHECK(TextOf(*entry + "/file") == "text");
    CHECK(cache.Get("key", 4, Writer("other", &calls)).value() == *entry);
    CHECK(cache.Get("key2", 5, Writer("other", &calls)).value() != *entry);
  }
  CHECK(calls == 2);
  FileCache again(options);
  CHECK(TextOf(again.Get("key", 4, Writer("other", &calls)).value() + "/file") == "text");
  CHECK(calls == 2);
}

TEST_CASE("what could not be filled is not there, and is filled by the next") {
  const TempDir directory;
  FileCache cache({.directory = directory.File("cache")});
  const auto half = [](const std::string& entry) {
    std::ofstream(entry + "/half") << "x";
    return absl::UnavailableError("cut");
  };
  REQUIRE_STATUS(cache.Get("key", 1, half).status(), absl::StatusCode::kUnavailable, "cut");
  int calls = 0;
  const auto entry = cache.Get("key", 1, Writer("text", &calls));
  REQUIRE_OK(entry);
  CHECK_FALSE(fs::exists(*entry + "/half"));
}

TEST_CASE("beyond the bound the entries that nobody holds are removed, those not asked for longest first") {
  const TempDir directory;
  const FileCache::Options options = {.directory = directory.File("cache"), .max_bytes = 10};
  int calls = 0;
  FileCache holder(options);
  const std::string held = holder.Get("held", 4, Writer("held", &calls)).value();
  std::string old, newer;
  {
    FileCache gone(options);
    old = gone.Get("old", 3, Writer("old", &calls)).value();
    newer = gone.Get("new", 3, Writer("new", &calls)).value();
  }
  // Both were used in the same second, perhaps.
  const timespec long_ago[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  REQUIRE(utimensat(AT_FDCWD, (old + ".lock").c_str(), long_ago, 0) == 0);
  REQUIRE(utimensat(AT_FDCWD, (held + ".lock").c_str(), long_ago, 0) == 0);
  FileCache another(options);
  REQUIRE_OK(another.Get("more", 3, Writer("mor", &calls)));
  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(newer));
  CHECK(fs::exists(held));
}

TEST_CASE("an entry that another process fills is waited for") {
  const TempDir directory;
  const FileCache::Options options = {.directory = directory.File("cache")};
  int told[2], go_on[2];
  REQUIRE(pipe(told) == 0);
  REQUIRE(pipe(go_on) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    FileCache cache(options);
    const auto filled = cache.Get("key", 4, [&](const std::string& entry) {
      char byte = 0;
      const bool is_right = write(told[1], "x", 1) == 1 && read(go_on[0], &byte, 1) == 1;
      std::ofstream(entry + "/file") << (is_right ? "text" : "no pipe");
      return absl::OkStatus();
    });
    _exit(filled.ok() ? 0 : 1);
  }
  char byte = 0;
  REQUIRE(read(told[0], &byte, 1) == 1);
  FileCache cache(options);
  int calls = 0;
  absl::StatusOr<std::string> entry;
  // Until the other process goes on, it holds the entry.
  std::thread waiting([&] { entry = cache.Get("key", 4, Writer("mine", &calls)); });
  const bool went_on = write(go_on[1], "x", 1) == 1;
  waiting.join();
  REQUIRE(went_on);
  REQUIRE_OK(entry);
  CHECK(TextOf(*entry + "/file") == "text");
  CHECK(calls == 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  for (int end : {told[0], told[1], go_on[0], go_on[1]}) close(end);
}

TEST_CASE("an entry that another one fills is not waited for by a process that is to end") {
  const TempDir directory;
  const auto stopper = std::make_shared<Stopper>();
  FileCache filling({.directory = directory.File("cache")});
  FileCache waiting({.directory = directory.File("cache"), .stopper = stopper});
  int calls = 0;
  REQUIRE_OK(filling.Get("key", 4, [&](const std::string&) {
    std::thread ending([&] { stopper->Stop(); });
    REQUIRE_STATUS(waiting.Get("key", 4, Writer("mine", &calls)), absl::StatusCode::kCancelled, "not waited for");
    ending.join();
    return absl::OkStatus();
  }));
  CHECK(calls == 0);
}

TEST_CASE("a directory that others may write to is not used, nor a disk without room") {
  const TempDir directory;
  int calls = 0;
  const std::string open_to_all = directory.File("open");
  REQUIRE(mkdir(open_to_all.c_str(), 0777) == 0);
  REQUIRE(chmod(open_to_all.c_str(), 0777) == 0);
  FileCache unsafe({.directory = open_to_all});
  REQUIRE_STATUS(unsafe.Get("key", 1, Writer("x", &calls)).status(), absl::StatusCode::kFailedPrecondition,
                 "SAMOVAR_FILE_CACHE");
  fs::create_directory_symlink("/tmp", directory.File("link"));
  FileCache linked({.directory = directory.File("link")});
  REQUIRE_STATUS(linked.Get("key", 1, Writer("x", &calls)).status(), absl::StatusCode::kFailedPrecondition,
                 "SAMOVAR_FILE_CACHE");
  FileCache small({.directory = directory.File("cache")});
  REQUIRE_STATUS(small.Get("key", uint64_t{1} << 60, Writer("x", &calls)).status(),
                 absl::StatusCode::kResourceExhausted, "has no room for 1152921504606846976 bytes");
  CHECK(calls == 0);
}

}  // namespace
}  // namespace samovar
