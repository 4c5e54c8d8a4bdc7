#include "common/import/leveldb_import.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>

#include "absl/strings/match.h"
#include "common/data/dataset.h"
#include "common/data/leveldb_advice.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#ifdef SAMOVAR_HAS_LEVELDB
#include "leveldb/db.h"
#include "leveldb/write_batch.h"
#endif

namespace samovar {
namespace {

namespace fs = std::filesystem;

TEST_CASE("what is no LevelDB is refused by name, and a LevelDB is known from its files") {
  TempDir dir;
  WriteDataset(dir.File("lmdb"), {1, 2, 2}, 3);
  CHECK_FALSE(IsLevelDb(dir.File("lmdb")));
  CHECK(LevelDbAdvice("/a/b/") ==
        "make an LMDB of it with `samovar data import leveldb --input /a/b --output /a/b_lmdb`, and write source: "
        "\"/a/b_lmdb\" backend: LMDB");
  if (!HasLevelDb()) {
    REQUIRE_STATUS(ImportLevelDb(dir.File("lmdb"), dir.File("to"), {}), absl::StatusCode::kUnimplemented,
                   "install libleveldb-dev");
    return;
  }
  REQUIRE_STATUS(ImportLevelDb(dir.File("nowhere"), dir.File("to"), {}), absl::StatusCode::kNotFound,
                 dir.File("nowhere"));
  REQUIRE_STATUS(ImportLevelDb(dir.File("lmdb"), dir.File("to"), {}), absl::StatusCode::kInvalidArgument,
                 "an LMDB, which needs no import");
  CHECK_FALSE(fs::exists(dir.File("to")));
}

#ifdef SAMOVAR_HAS_LEVELDB

using Records = std::map<std::string, std::string>;

// As Caffe's converters write it: a batch of 1000 at a time. `compact`: all of it in sorted tables, else partly in the
// log.
void WriteLevelDb(const std::string& directory, const Records& records, bool compact) {
  leveldb::Options options;
  options.create_if_missing = true;
  options.error_if_exists = true;
  // So that there are several files.
  options.write_buffer_size = 1 << 16;
  leveldb::DB* opened = nullptr;
  REQUIRE(leveldb::DB::Open(options, directory, &opened).ok());
  const std::unique_ptr<leveldb::DB> db(opened);
  leveldb::WriteBatch batch;
  size_t pending = 0;
  for (const auto& [key, value] : records) {
    batch.Put(key, value);
    if (++pending % 1000 != 0 && pending != records.size()) continue;
    REQUIRE(db->Write(leveldb::WriteOptions(), &batch).ok());
    batch.Clear();
  }
  if (compact) db->CompactRange(nullptr, nullptr);
}

// Pairs as convert_mnist_siamese_data makes them: two channels, labelled 1 if both images are of one class.
Records Pairs(int count) {
  Records records;
  for (int i = 0; i < count; ++i)
    records[RecordKey(static_cast<uint64_t>(i))] = MakeDatum({2, 8, 8}, i % 3 == 0 ? 1 : 0, i).SerializeAsString();
  return records;
}

std::map<std::string, std::string> FilesOf(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory))
    files[entry.path().filename().string()] = ReadBytes(entry.path().string());
  return files;
}

TEST_CASE("a LevelDB of pairs becomes an LMDB with the same keys and values, and stays as it is") {
  for (const bool compact : {false, true}) {
    TempDir dir;
    const Records records = Pairs(2500);
    WriteLevelDb(dir.File("level"), records, compact);
    CHECK(IsLevelDb(dir.File("level")));
    const auto before = FilesOf(dir.File("level"));
    fs::permissions(dir.File("level"), fs::perms::owner_read | fs::perms::owner_exec);
    const auto summary = ImportLevelDb(dir.File("level"), dir.File("lmdb"), {});
    fs::permissions(dir.File("level"), fs::perms::owner_all);
    REQUIRE_OK(summary);
    CHECK(summary->records == 2500);
    CHECK(summary->shape == RecordShape{2, 8, 8});
    CHECK(summary->max_label == 1);
    CHECK(FilesOf(dir.File("level")) == before);
    // Nothing else is left.
    CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 2);
    const auto dataset = Dataset::Open(dir.File("lmdb"), StorageTable());
    REQUIRE_OK(dataset);
    Records read;
    REQUIRE_OK((*dataset)->ForEach([&](const std::string& key, absl::string_view value, const caffe::Datum&) {
      read[key] = std::string(value);
      return absl::OkStatus();
    }));
    CHECK(read == records);
  }
}

// Another process that has the LevelDB open, for as long as this lives.
class OtherProcess {
 public:
  explicit OtherProcess(const std::string& directory) {
    const std::string lock = directory + "/LOCK";
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    REQUIRE(pipe(end_) == 0);
    child_ = fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      close(end_[1]);
      const int file = open(lock.c_str(), O_RDWR);
      struct flock whole = {};
      whole.l_type = F_WRLCK;
      whole.l_whence = SEEK_SET;
      char byte = file >= 0 && fcntl(file, F_SETLK, &whole) == 0 ? 1 : 0;
      if (write(ready[1], &byte, 1) == 1) byte = static_cast<char>(read(end_[0], &byte, 1));
      _exit(0);
    }
    char locked = 0;
    REQUIRE(read(ready[0], &locked, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    REQUIRE(locked == 1);
  }
  ~OtherProcess() {
    close(end_[0]);
    close(end_[1]);
    waitpid(child_, nullptr, 0);
  }

 private:
  int end_[2];
  pid_t child_ = -1;
};

TEST_CASE("a LevelDB that another process has open is imported, and that process' lock and log are left alone") {
  TempDir dir;
  WriteLevelDb(dir.File("level"), Pairs(20), /*compact=*/false);
  const auto before = FilesOf(dir.File("level"));
  const OtherProcess other(dir.File("level"));
  const auto summary = ImportLevelDb(dir.File("level"), dir.File("lmdb"), {});
  REQUIRE_OK(summary);
  CHECK(summary->records == 20);
  CHECK(FilesOf(dir.File("level")) == before);
}

TEST_CASE("a LevelDB becomes a partitioned set as well") {
  TempDir dir;
  WriteLevelDb(dir.File("level"), Pairs(100), true);
  ImportOptions options;
  options.partitions = 3;
  REQUIRE_OK(ImportLevelDb(dir.File("level"), dir.File("set"), options));
  const auto dataset = Dataset::Open(dir.File("set"), StorageTable());
  REQUIRE_OK(dataset);
  CHECK((*dataset)->partitions() == 3);
  CHECK((*dataset)->size() == 100);
}

TEST_CASE("what is wrong with a record of a LevelDB is named with its key, and nothing is left") {
  TempDir dir;
  Records records = Pairs(20);
  SECTION("no datum") { records["00000007"] = "\xff\xff"; }
  SECTION("other values than its shape has") {
    records["00000007"] = MakeDatum({2, 8, 8}, 0, 0).SerializeAsString() + std::string("\x08\x03", 2);
  }
  SECTION("an image that cannot be decoded") {
    caffe::Datum datum;
    datum.set_encoded(true);
    datum.set_data("no image");
    records["00000007"] = datum.SerializeAsString();
  }
  WriteLevelDb(dir.File("level"), records, true);
  const auto imported = ImportLevelDb(dir.File("level"), dir.File("lmdb"), {});
  REQUIRE_FALSE(imported.ok());
  CHECK(absl::StrContains(imported.status().message(), dir.File("level") + ": key \"00000007\""));
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("a damaged or an empty LevelDB is refused by name") {
  TempDir dir;
  WriteLevelDb(dir.File("empty"), {}, true);
  REQUIRE_STATUS(ImportLevelDb(dir.File("empty"), dir.File("lmdb"), {}), absl::StatusCode::kInvalidArgument,
                 dir.File("empty") + ": has no records");
  WriteLevelDb(dir.File("level"), Pairs(2500), true);
  for (const auto& entry : fs::directory_iterator(dir.File("level"))) {
    if (entry.path().extension() != ".ldb") continue;
    std::string bytes = ReadBytes(entry.path().string());
    bytes[100] = static_cast<char>(bytes[100] + 1);
    WriteBytes(entry.path().string(), bytes);
  }
  REQUIRE_STATUS(ImportLevelDb(dir.File("level"), dir.File("lmdb"), {}), absl::StatusCode::kDataLoss,
                 dir.File("level") + ": LevelDB says: Corruption");
  CHECK_FALSE(fs::exists(dir.File("lmdb")));
}

TEST_CASE("a LevelDB where an LMDB is wanted is answered with the command that imports it") {
  TempDir dir;
  WriteLevelDb(dir.File("level"), Pairs(5), true);
  REQUIRE_STATUS(Dataset::Open(dir.File("level"), StorageTable()), absl::StatusCode::kInvalidArgument,
                 dir.File("level") + ": is a LevelDB; make an LMDB of it with `samovar data import leveldb --input " +
                     dir.File("level"));
}

#endif

}  // namespace
}  // namespace samovar
