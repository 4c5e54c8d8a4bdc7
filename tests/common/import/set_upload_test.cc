#include "common/import/set_upload.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/import/dataset_partition.h"
#include "tests/common/data/write_dataset.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

constexpr RecordShape kShape{1, 4, 5};
constexpr int kRecords = 20;

// A storage that breaks after so many writes.
class Breaking : public MountedStorage {
 public:
  using MountedStorage::MountedStorage;
  absl::Status Put(const std::string& uri, const std::function<absl::Status(int fd)>& write) override {
    return writes-- > 0 ? MountedStorage::Put(uri, write) : absl::UnavailableError("broken");
  }
  int writes = 1000;
};

struct Fixture {
  Fixture() {
    WriteDataset(source, kShape, kRecords);
    WriteDataset(directory.File("other"), kShape, kRecords - 1);
    storage.Add("mem", mounted);
    setenv("TMPDIR", temporary.path().c_str(), 1);
  }
  ~Fixture() { unsetenv("TMPDIR"); }

  absl::Status Partition(const std::string& from, uint32_t partitions, bool force = false) {
    ImportOptions options;
    options.partitions = partitions;
    options.force = force;
    options.storage = storage;
    const absl::Status made = PartitionDataset(from, "mem:/set/", options).status();
    // What is made here on the way is removed.
    CHECK(fs::is_empty(temporary.path()));
    return made;
  }
  // The records of the set as whoever opens it finds them; 0: there is no set.
  uint64_t Records() {
    const auto dataset = Dataset::Open("mem:/set", storage);
    if (!dataset.ok()) return 0;
    caffe::Datum datum;
    for (uint64_t position = 0; position < (*dataset)->size(); ++position) {
      REQUIRE_OK((*dataset)->Read(position, &datum));
      CHECK(datum.SerializeAsString() ==
            MakeDatum(kShape, static_cast<int>(position % 10), static_cast<int>(position)).SerializeAsString());
    }
    return (*dataset)->size();
  }
  std::vector<std::string> Entries() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory.File("set"))) {
      // An LMDB that was opened has it.
      if (entry.path().filename() != "lock.mdb") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TempDir directory, temporary;
  std::string source = directory.File("lmdb");
  std::shared_ptr<Breaking> mounted = std::make_shared<Breaking>(directory.path());
  StorageTable storage;
};

TEST_CASE_METHOD(Fixture, "a set is sent to a storage partition by partition, its manifest last") {
  REQUIRE_OK(Partition(source, 3));
  CHECK(Records() == kRecords);
  CHECK(Entries() == std::vector<std::string>{"manifest", "part-00000", "part-00001", "part-00002"});
  std::vector<std::string> puts;
  for (const std::string& call : mounted->calls()) {
    if (absl::StartsWith(call, "put ")) puts.push_back(call.substr(4));
  }
  CHECK(puts == std::vector<std::string>{"mem:/set/part-00000/data.mdb", "mem:/set/part-00001/data.mdb",
                                         "mem:/set/part-00002/data.mdb", "mem:/set/manifest"});
}

TEST_CASE_METHOD(Fixture, "an import that ends early leaves no set in a storage, and the next one takes its place") {
  for (int writes = 0; writes < 4; ++writes) {
    mounted->writes = writes;
    REQUIRE_STATUS(Partition(source, 3), StatusCode::kUnavailable, "broken");
    CHECK(Records() == 0);
  }
  mounted->writes = 1000;
  std::ofstream(directory.File("set/part-00002/.data.mdb.0123abcd.tmp")) << "unfinished";
  REQUIRE_OK(Partition(directory.File("other"), 2));
  CHECK(Records() == kRecords - 1);
  // Without what the others had left.
  CHECK(Entries() == std::vector<std::string>{"manifest", "part-00000", "part-00001"});
}

TEST_CASE_METHOD(Fixture, "a set in a storage is replaced when it is asked for, and is whole until the new one is") {
  REQUIRE_OK(Partition(source, 3));
  REQUIRE_STATUS(Partition(source, 2), StatusCode::kAlreadyExists, "mem:/set: exists already; --force replaces it");
  for (int writes = 0; writes < 3; ++writes) {
    mounted->writes = writes;
    REQUIRE_STATUS(Partition(directory.File("other"), 2, true), StatusCode::kUnavailable, "broken");
    CHECK(Records() == kRecords);
  }
  mounted->writes = 1000;
  REQUIRE_OK(Partition(directory.File("other"), 2, true));
  CHECK(Records() == kRecords - 1);
  CHECK(Entries().size() == 3);
  // By a set of the same records.
  REQUIRE_OK(Partition("mem:/set", 4, true));
  CHECK(Records() == kRecords - 1);
  CHECK(Entries().size() == 5);
}

TEST_CASE_METHOD(Fixture, "an LMDB and a set in a storage take each other's place") {
  REQUIRE_OK(Partition(source, 2));
  REQUIRE_OK(Partition(directory.File("other"), 0, true));
  CHECK(Records() == kRecords - 1);
  CHECK(Entries() == std::vector<std::string>{"data.mdb"});
  REQUIRE_STATUS(Partition(source, 2), StatusCode::kAlreadyExists, "--force");
  REQUIRE_OK(Partition(source, 2, true));
  CHECK(Records() == kRecords);
  CHECK(Entries() == std::vector<std::string>{"manifest", "part-00000", "part-00001"});
}

TEST_CASE_METHOD(Fixture,
                 "what is no data set is not replaced in a storage, and nothing is read before that is known") {
  fs::create_directory(directory.File("set"));
  REQUIRE_OK(Partition(source, 2));
  std::ofstream(directory.File("set/notes")) << "mine";
  REQUIRE_STATUS(Partition("mem:/lmdb", 2, true), StatusCode::kAlreadyExists, "is not an LMDB");
  CHECK_FALSE(mounted->Had("fetch mem:/lmdb"));
  fs::remove_all(directory.File("set"));
  std::ofstream(directory.File("set")) << "a file";
  REQUIRE_STATUS(Partition(source, 2, true), StatusCode::kFailedPrecondition, "set");
}

}  // namespace
}  // namespace samovar
