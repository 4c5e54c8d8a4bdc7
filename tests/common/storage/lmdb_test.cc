#include "common/storage/lmdb.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/storage/lmdb_check.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

struct Fixture {
  std::unique_ptr<LmdbEnvironment> Open(const LmdbEnvironment::Options& options = {}) {
    auto environment = LmdbEnvironment::Open(path, options);
    REQUIRE_OK(environment);
    return *std::move(environment);
  }

  absl::Status OpenStatus(bool read_only) {
    LmdbEnvironment::Options options;
    options.read_only = read_only;
    return LmdbEnvironment::Open(path, options).status();
  }

  TempDir directory;
  std::string path = directory.File("lmdb");
  std::string data_file = path + "/data.mdb";

  Fixture() = default;
  explicit Fixture(const std::filesystem::path& parent) : directory(parent) {}
};

// For thousands of commits, each of which waits for the disk; in memory, where the system has that.
struct FastFixture : Fixture {
  FastFixture() : Fixture(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path()) {}
};

std::string Get(LmdbEnvironment& environment, absl::string_view key) {
  auto transaction = environment.BeginRead();
  REQUIRE_OK(transaction);
  auto value = transaction->Get(key);
  REQUIRE_OK(value);
  return value->has_value() ? std::string(**value) : "(absent)";
}

absl::Status Put(LmdbEnvironment& environment, absl::string_view key, absl::string_view value) {
  return environment.Write([&](LmdbTransaction& transaction) { return transaction.Put(key, value); });
}

TEST_CASE_METHOD(Fixture, "what is written can be read, also after opening again; keys and values may be any bytes") {
  const std::string key("k\0\xff", 3);
  const std::string value("\0v\n", 3);
  auto environment = Open();
  REQUIRE_OK(Put(*environment, key, value));
  REQUIRE(Get(*environment, key) == value);
  REQUIRE(Get(*environment, "k") == "(absent)");
  environment.reset();
  environment = Open();
  REQUIRE(Get(*environment, key) == value);
}

TEST_CASE_METHOD(Fixture, "a write that returns an error leaves nothing behind") {
  auto environment = Open();
  REQUIRE_OK(Put(*environment, "a", "1"));
  REQUIRE_STATUS(environment->Write([](LmdbTransaction& transaction) -> absl::Status {
    REQUIRE_OK(transaction.Put("a", "2"));
    REQUIRE_OK(transaction.Put("b", "2"));
    return absl::AbortedError("changed my mind");
  }),
                 absl::StatusCode::kAborted, "changed my mind");
  REQUIRE(Get(*environment, "a") == "1");
  REQUIRE(Get(*environment, "b") == "(absent)");
}

TEST_CASE_METHOD(Fixture, "a reader sees what was there when it began") {
  auto environment = Open();
  REQUIRE_OK(Put(*environment, "a", "1"));
  auto reader = environment->BeginRead();
  REQUIRE_OK(reader);
  REQUIRE_OK(Put(*environment, "a", "2"));
  REQUIRE(**reader->Get("a") == "1");
  REQUIRE(Get(*environment, "a") == "2");
}

TEST_CASE_METHOD(Fixture, "deleting an absent key is OK, and a deleted one is gone") {
  auto environment = Open();
  REQUIRE_OK(Put(*environment, "a", "1"));
  REQUIRE_OK(environment->Write([](LmdbTransaction& transaction) { return transaction.Delete("a"); }));
  REQUIRE_OK(environment->Write([](LmdbTransaction& transaction) { return transaction.Delete("a"); }));
  REQUIRE(Get(*environment, "a") == "(absent)");
}

TEST_CASE_METHOD(Fixture, "a cursor goes through the keys in order from the first that is not less") {
  auto environment = Open();
  for (const char* key : {"b", "d", "a"}) REQUIRE_OK(Put(*environment, key, absl::StrCat("value of ", key)));
  auto transaction = environment->BeginRead();
  REQUIRE_OK(transaction);
  REQUIRE(*transaction->Count() == 3);
  auto cursor = transaction->OpenCursor();
  REQUIRE_OK(cursor);
  REQUIRE(*cursor->SeekAtLeast("aa"));
  REQUIRE(cursor->key() == "b");
  REQUIRE(cursor->value() == "value of b");
  REQUIRE(*cursor->Next());
  REQUIRE(cursor->key() == "d");
  REQUIRE_FALSE(*cursor->Next());
  REQUIRE_FALSE(*cursor->SeekAtLeast("e"));
  REQUIRE(*cursor->SeekAtLeast(""));
  REQUIRE(cursor->key() == "a");
}

TEST_CASE_METHOD(Fixture, "a full map grows and the write runs again, also in an environment opened again") {
  LmdbEnvironment::Options options;
  options.map_bytes = 1 << 16;
  const std::string value(1 << 20, 'x');
  auto environment = Open(options);
  int runs = 0;
  const absl::Status written = environment->Write([&](LmdbTransaction& transaction) -> absl::Status {
    ++runs;
    for (int i = 0; i < 5; ++i) {
      // The caller's own words do not hide that the map was full.
      if (!transaction.Put(absl::StrCat("key", i), value).ok()) return absl::UnknownError("a put failed");
    }
    return absl::OkStatus();
  });
  REQUIRE_OK(written);
  REQUIRE(runs > 1);
  REQUIRE(Get(*environment, "key4") == value);
  environment.reset();
  environment = Open(options);
  REQUIRE_OK(Put(*environment, "key5", value));
  REQUIRE(Get(*environment, "key0") == value);
}

TEST_CASE_METHOD(Fixture, "the map does not grow under a reader, who keeps what it sees") {
  LmdbEnvironment::Options options;
  options.map_bytes = 1 << 16;
  auto environment = Open(options);
  REQUIRE_OK(Put(*environment, "a", "1"));
  const std::string value(1 << 20, 'x');
  absl::Notification first_run;
  std::thread writer;
  {
    auto reader = environment->BeginRead();
    REQUIRE_OK(reader);
    const auto seen = reader->Get("a");
    writer = std::thread([&] {
      (void)environment->Write([&](LmdbTransaction& transaction) {
        const absl::Status status = transaction.Put("b", value);
        if (!first_run.HasBeenNotified()) first_run.Notify();
        return status;
      });
    });
    first_run.WaitForNotification();
    REQUIRE(Get(*environment, "a") == "1");  // a second reader, while the writer waits
    REQUIRE(**seen == "1");
  }
  writer.join();
  REQUIRE(Get(*environment, "b") == value);
}

TEST_CASE_METHOD(Fixture, "writers of several threads take turns") {
  auto environment = Open();
  constexpr int kThreads = 4;
  constexpr int kWrites = 20;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int write = 0; write < kWrites; ++write) {
        (void)environment->Write([](LmdbTransaction& transaction) -> absl::Status {
          const auto count = transaction.Get("count");
          const size_t length = count.ok() && count->has_value() ? (*count)->size() : 0;
          return transaction.Put("count", std::string(length + 1, 'x'));
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(Get(*environment, "count").size() == kThreads * kWrites);
}

TEST_CASE_METHOD(Fixture, "an environment is opened once in a process, whatever the path is spelled like") {
  auto environment = Open();
  REQUIRE_STATUS(OpenStatus(false), absl::StatusCode::kFailedPrecondition, "open in this process already");
  std::filesystem::create_directory_symlink(path, directory.File("link"));
  REQUIRE_STATUS(LmdbEnvironment::Open(directory.File("link"), {}), absl::StatusCode::kFailedPrecondition,
                 directory.File("link"));
  environment.reset();
  REQUIRE_OK(OpenStatus(false));
}

TEST_CASE_METHOD(Fixture, "keys that LMDB cannot hold are refused with their bounds") {
  auto environment = Open();
  REQUIRE_STATUS(Put(*environment, "", "x"), absl::StatusCode::kInvalidArgument, "1 to 511 bytes");
  REQUIRE_STATUS(Put(*environment, std::string(512, 'k'), "x"), absl::StatusCode::kInvalidArgument, path);
}

TEST_CASE_METHOD(Fixture, "a read-only environment refuses to write and never makes a directory") {
  REQUIRE_STATUS(OpenStatus(true), absl::StatusCode::kNotFound, path + ": no such directory");
  std::filesystem::create_directory(path);
  REQUIRE_STATUS(OpenStatus(true), absl::StatusCode::kNotFound, "has no data.mdb");
  Open();
  LmdbEnvironment::Options options;
  options.read_only = true;
  auto environment = Open(options);
  REQUIRE_STATUS(Put(*environment, "a", "1"), absl::StatusCode::kFailedPrecondition, "for reading only");
}

TEST_CASE_METHOD(Fixture, "a directory that cannot be made, or is a file, is named") {
  WriteBytes(path, "a file");
  REQUIRE_STATUS(OpenStatus(false), absl::StatusCode::kInvalidArgument, path + ": is a file");
  REQUIRE_STATUS(LmdbEnvironment::Open(path + "/below", {}), absl::StatusCode::kNotFound, "cannot be made");
}

TEST_CASE_METHOD(Fixture, "a directory that may only be read is opened without LMDB's lock") {
  REQUIRE_OK(Put(*Open(), "a", "1"));
  std::filesystem::remove(path + "/lock.mdb");
  REQUIRE(chmod(directory.path().c_str(), 0755) == 0);
  REQUIRE(chmod(path.c_str(), 0555) == 0);
  const bool is_root = geteuid() == 0;
  if (is_root) REQUIRE(seteuid(65534) == 0);  // root may write anywhere
  LmdbEnvironment::Options options;
  options.read_only = true;
  auto environment = LmdbEnvironment::Open(path, options);
  const absl::Status for_writing = LmdbEnvironment::Open(directory.File("other"), {}).status();
  if (is_root) REQUIRE(seteuid(0) == 0);
  chmod(path.c_str(), 0755);
  REQUIRE_OK(environment);
  REQUIRE(Get(**environment, "a") == "1");
  if (is_root) REQUIRE_STATUS(for_writing, absl::StatusCode::kNotFound, "Permission denied");
}

TEST_CASE_METHOD(Fixture, "a reader elsewhere with this process's number does not keep it from reading") {
  REQUIRE_OK(Put(*Open(), "a", "1"));
  // Holds what LMDB locks for a reader of this process's number, as one on another host, or in another container, does.
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const pid_t number = getpid();
  const std::string lock_file = path + "/lock.mdb";
  const pid_t other = fork();
  REQUIRE(other >= 0);
  if (other == 0) {
    const int file = open(lock_file.c_str(), O_RDWR | O_CREAT, 0644);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = number;
    lock.l_len = 1;
    const char answer = file >= 0 && fcntl(file, F_SETLK, &lock) == 0 ? 'y' : 'n';
    if (write(pipe_ends[1], &answer, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char locked = 'n';
  REQUIRE(read(pipe_ends[0], &locked, 1) == 1);
  LmdbEnvironment::Options options;
  options.read_only = true;
  const auto environment = LmdbEnvironment::Open(path, options);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  REQUIRE(locked == 'y');
  REQUIRE_OK(environment);
  REQUIRE(Get(**environment, "a") == "1");
}

TEST_CASE_METHOD(Fixture, "a full disk is told as such and leaves the environment as it was") {
  auto environment = Open();
  REQUIRE_OK(Put(*environment, "a", "1"));
  // A limit on the size of files, at what the file has, stands in for the disk.
  struct rlimit former;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &former) == 0);
  const auto former_handler = signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = former;
  small.rlim_cur = std::filesystem::file_size(data_file);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const absl::Status status = Put(*environment, "b", std::string(8 << 20, 'x'));
  REQUIRE(setrlimit(RLIMIT_FSIZE, &former) == 0);
  signal(SIGXFSZ, former_handler);
  REQUIRE_STATUS(status, absl::StatusCode::kResourceExhausted, path);
  REQUIRE(Get(*environment, "a") == "1");
  REQUIRE(Get(*environment, "b") == "(absent)");
  REQUIRE_OK(Put(*environment, "b", std::string(8 << 20, 'x')));
}

TEST_CASE_METHOD(Fixture, "what is not an LMDB is refused, for reading and for writing") {
  const bool read_only = GENERATE(true, false);
  std::filesystem::create_directory(path);
  SECTION("text") {
    WriteBytes(data_file, std::string(10'000, 'x'));
    REQUIRE_STATUS(OpenStatus(read_only), absl::StatusCode::kInvalidArgument, "not an LMDB");
  }
  SECTION("a few bytes") {
    WriteBytes(data_file, "x");
    REQUIRE_STATUS(OpenStatus(read_only), absl::StatusCode::kInvalidArgument, data_file);
  }
  SECTION("a directory") {
    std::filesystem::create_directory(data_file);
    REQUIRE_STATUS(OpenStatus(read_only), absl::StatusCode::kInvalidArgument, "not a regular file");
  }
  SECTION("another version of the format") {
    std::filesystem::remove(path);
    Open();
    std::string bytes = ReadBytes(data_file);
    bytes[20] = 2;
    WriteBytes(data_file, bytes);
    REQUIRE_STATUS(OpenStatus(read_only), absl::StatusCode::kInvalidArgument, "format 2");
  }
}

TEST_CASE_METHOD(Fixture, "an empty data file is not an LMDB to read, but may become one") {
  std::filesystem::create_directory(path);
  WriteBytes(data_file, "");
  REQUIRE_STATUS(OpenStatus(true), absl::StatusCode::kInvalidArgument, "0 bytes");
  REQUIRE_OK(OpenStatus(false));
}

// Records of all kinds: many small ones (branch pages), large values, and freed pages.
void WriteVariety(LmdbEnvironment& environment) {
  REQUIRE_OK(environment.Write([](LmdbTransaction& transaction) -> absl::Status {
    for (uint64_t i = 0; i < 600; ++i) REQUIRE_OK(transaction.Put(RecordKey(i), std::string(100, 'v')));
    for (int i = 0; i < 5; ++i) REQUIRE_OK(transaction.Put(absl::StrCat("large", i), std::string(9000, 'L')));
    return absl::OkStatus();
  }));
  for (int i = 0; i < 3; ++i) {
    REQUIRE_OK(environment.Write([&](LmdbTransaction& transaction) -> absl::Status {
      REQUIRE_OK(transaction.Delete(absl::StrCat("large", i)));
      return transaction.Put(RecordKey(static_cast<uint64_t>(100 * i)), std::string(200, 'w'));
    }));
  }
}

// Reads all there is, and then writes, as far as errors allow it.
void Use(LmdbEnvironment& environment) {
  {
    auto transaction = environment.BeginRead();
    if (!transaction.ok()) return;
    auto cursor = transaction->OpenCursor();
    if (!cursor.ok()) return;
    auto found = cursor->SeekAtLeast("");
    size_t sum = 0;
    while (found.ok() && *found) {
      for (const char c : cursor->value()) sum += static_cast<unsigned char>(c);
      found = cursor->Next();
    }
    REQUIRE(sum > 0);
  }
  for (int i = 0; i < 3; ++i) (void)Put(environment, absl::StrCat("new", i), std::string(5000, 'n'));
  (void)environment.Write([](LmdbTransaction& transaction) { return transaction.Delete("large4"); });
}

TEST_CASE_METHOD(Fixture, "a file cut off anywhere is an error or still whole, never a crash") {
  const bool read_only = GENERATE(true, false);
  WriteVariety(*Open());
  const std::string whole = ReadBytes(data_file);
  REQUIRE_OK(OpenStatus(read_only));
  int refused = 0;
  for (size_t size = 1; size < whole.size(); size += 2047) {
    WriteBytes(data_file, whole.substr(0, size));
    const absl::Status status = OpenStatus(read_only);
    if (status.ok()) {
      Use(*Open());  // what was cut off was not in use
      continue;
    }
    ++refused;
    INFO(status);
    REQUIRE((status.code() == absl::StatusCode::kDataLoss || size < 152));
    REQUIRE(absl::StrContains(status.message(), data_file));
  }
  REQUIRE(refused > 20);
  WriteBytes(data_file, whole.substr(0, whole.size() / 2));
  REQUIRE_STATUS(OpenStatus(read_only), absl::StatusCode::kDataLoss, "truncated");
}

TEST_CASE_METHOD(FastFixture, "a file with damaged bytes is refused or can be used, never a crash") {
  WriteVariety(*Open());
  const std::string whole = ReadBytes(data_file);
  int refused = 0;
  // The structures are at both ends of the pages; values are not looked at.
  for (size_t offset = 0; offset < whole.size(); offset += offset % 4096 < 160 ? 1 : 97) {
    std::string damaged = whole;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (offset % 3 == 0 ? 0xff : 0x05));
    WriteBytes(data_file, damaged);
    auto environment = LmdbEnvironment::Open(path, {});
    if (environment.ok()) {
      Use(**environment);
    } else {
      ++refused;
    }
  }
  REQUIRE(refused > 100);
}

TEST_CASE_METHOD(Fixture, "a tree that runs in circles is refused") {
  WriteVariety(*Open());
  std::string bytes = ReadBytes(data_file);
  // Both meta pages name the root of the main database at 16 + 72 + 40; its first node's child becomes the root itself.
  const auto load = [&](size_t offset) { return *reinterpret_cast<const uint64_t*>(bytes.data() + offset); };
  const size_t newest = load(16 + 128) > load(4096 + 16 + 128) ? 0 : 4096;
  const uint64_t root = load(newest + 128);
  const size_t page = root * 4096;
  const size_t node = page + *reinterpret_cast<const uint16_t*>(bytes.data() + page + 16);
  *reinterpret_cast<uint16_t*>(bytes.data() + node) = static_cast<uint16_t>(root);
  WriteBytes(data_file, bytes);
  REQUIRE_STATUS(OpenStatus(true), absl::StatusCode::kDataLoss, "of the wrong kind");
}

}  // namespace
}  // namespace samovar
