#include "common/import/partition_write.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/data/dataset.h"
#include "common/data/dataset_manifest.h"
#include "common/import/dataset_partition.h"
#include "common/import/image_encoder.h"
#include "common/storage/big_endian.h"
#include "common/storage/write_file.h"
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

std::string Frame(const std::string& key, const std::string& value) {
  std::string bytes;
  AppendBigEndian(static_cast<uint32_t>(key.size()), &bytes);
  bytes += key;
  AppendBigEndian(static_cast<uint32_t>(value.size()), &bytes);
  return bytes + value;
}

std::string End() { return std::string(4, '\0'); }

struct Fixture {
  Fixture() {
    storage.Add("mem", std::make_shared<MountedStorage>(directory.path()));
    setenv("TMPDIR", temporary.path().c_str(), 1);
  }
  ~Fixture() { unsetenv("TMPDIR"); }

  absl::StatusOr<v1::DatasetManifest> WriteFrom(int input, const std::string& name) {
    ImportOptions options;
    options.storage = storage;
    return WritePartition(input, set, name, options);
  }
  absl::StatusOr<v1::DatasetManifest> WriteBytesAs(const std::string& bytes, const std::string& name) {
    WriteBytes(directory.File("stream"), bytes);
    const int input = open(directory.File("stream").c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(input >= 0);
    auto part = WriteFrom(input, name);
    close(input);
    return part;
  }
  // Records [begin, end) of WriteDataset.
  static std::string Records(int begin, int end, const RecordShape& shape = kShape) {
    std::string bytes;
    for (int i = begin; i < end; ++i) {
      bytes += Frame(RecordKey(static_cast<uint64_t>(i)), MakeDatum(shape, i % 10, i).SerializeAsString());
    }
    return bytes;
  }
  absl::StatusOr<v1::DatasetManifest> Write(int begin, int end, const std::string& name,
                                            const RecordShape& shape = kShape) {
    auto part = WriteBytesAs(Records(begin, end, shape) + End(), name);
    CHECK(fs::is_empty(temporary.path()));
    return part;
  }
  absl::Status Join(const std::vector<v1::DatasetManifest>& parts, bool force = false) {
    return JoinPartitions(set, parts, force, storage, [this](const std::string& news) { told += news; }).status();
  }
  // The entries of the set's directory.
  std::vector<std::string> Entries() const {
    std::vector<std::string> names;
    if (!fs::exists(directory.File("set"))) return names;
    for (const auto& entry : fs::directory_iterator(directory.File("set"))) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  TempDir directory, temporary;
  StorageTable storage;
  std::string set = directory.File("set");
  // What joins have told.
  std::string told;
};

// A set here, and one in a storage.
struct PlaceFixture : Fixture {
  void In(bool in_storage) { set = in_storage ? "mem:/set" : directory.File("set"); }
};

}  // namespace

TEST_CASE_METHOD(PlaceFixture,
                 "partitions that were written one by one make the set that one process makes of all records") {
  In(GENERATE(false, true));
  const auto second = Write(7, 13, "part-00001-x");
  REQUIRE_OK(second);
  const auto first = Write(0, 7, "part-00000-y");
  REQUIRE_OK(first);
  CHECK_FALSE(Dataset::Open(set, storage).ok());
  REQUIRE_OK(Join({*first, *second}));
  CHECK(Entries() == std::vector<std::string>{"manifest", "part-00000-y", "part-00001-x"});

  WriteDataset(directory.File("lmdb"), kShape, 13);
  ImportOptions options;
  options.partitions = 2;
  REQUIRE_OK(PartitionDataset(directory.File("lmdb"), directory.File("at_once"), options));
  auto expected = ReadManifest(directory.File("at_once"));
  REQUIRE_OK(expected);
  expected->mutable_partitions(0)->set_directory("part-00000-y");
  expected->mutable_partitions(1)->set_directory("part-00001-x");
  const auto manifest = ReadManifest(set, storage);
  REQUIRE_OK(manifest);
  CHECK(manifest->DebugString() == expected->DebugString());
  for (const char* partition : {"0", "1"}) {
    const std::string tail = partition == std::string("0") ? "-y" : "-x";
    CHECK(ReadBytes(directory.File(absl::StrCat("set/part-0000", partition, tail, "/data.mdb"))) ==
          ReadBytes(directory.File(absl::StrCat("at_once/part-0000", partition, "/data.mdb"))));
  }
}

TEST_CASE_METHOD(PlaceFixture,
                 "joining removes the partitions that the set does not name, and a set that is there needs force") {
  In(GENERATE(false, true));
  const auto lost = Write(0, 5, "part-00000-lost");
  const auto kept = Write(0, 5, "part-00000-kept");
  REQUIRE_OK(lost);
  REQUIRE_OK(kept);
  REQUIRE_OK(Join({*kept}));
  CHECK(Entries() == std::vector<std::string>{"manifest", "part-00000-kept"});
  const auto other = Write(0, 3, "part-00000-other");
  REQUIRE_OK(other);
  REQUIRE_STATUS(CheckJoinTarget(set, false, storage), StatusCode::kAlreadyExists, "--force replaces it");
  REQUIRE_STATUS(Join({*other}), StatusCode::kAlreadyExists, "--force replaces it");
  CHECK(ReadManifest(set, storage)->records() == 5);
  REQUIRE_OK(CheckJoinTarget(set, true, storage));
  REQUIRE_OK(Join({*other}, /*force=*/true));
  CHECK(ReadManifest(set, storage)->records() == 3);
  CHECK(Entries() == std::vector<std::string>{"manifest", "part-00000-other"});
}

TEST_CASE_METHOD(PlaceFixture,
                 "a partition may be written again if it is the same, and another one of its name is refused") {
  In(GENERATE(false, true));
  const auto first = Write(0, 5, "part-00000");
  REQUIRE_OK(first);
  const std::string made = ReadBytes(directory.File("set/part-00000/data.mdb"));
  const auto again = Write(0, 5, "part-00000");
  REQUIRE_OK(again);
  CHECK(again->DebugString() == first->DebugString());
  REQUIRE_STATUS(Write(1, 6, "part-00000"), StatusCode::kAlreadyExists, "has other records");
  CHECK(ReadBytes(directory.File("set/part-00000/data.mdb")) == made);
  REQUIRE_OK(Join({*first}));
  // A data file that is lost comes again.
  fs::remove(directory.File("set/part-00000/data.mdb"));
  REQUIRE_OK(Write(0, 5, "part-00000"));
  CHECK(ReadBytes(directory.File("set/part-00000/data.mdb")) == made);
  // A task that comes late.
  REQUIRE_OK(Write(0, 5, "part-00000"));
  REQUIRE_STATUS(Write(1, 6, "part-00000"), StatusCode::kAlreadyExists, "--name");
  CHECK(ReadBytes(directory.File("set/part-00000/data.mdb")) == made);
  fs::create_directory(directory.File("set/part-mine"));
  WriteBytes(directory.File("set/part-mine/data.mdb"), "x");
  REQUIRE_STATUS(Write(0, 5, "part-mine"), StatusCode::kAlreadyExists, "has not written it");
}

TEST_CASE_METHOD(PlaceFixture,
                 "of two that write a partition of one name at the same time, the one that is not the first is told, "
                 "unless both write the same") {
  In(GENERATE(false, true));
  const bool is_same = GENERATE(false, true);
  constexpr int kMany = 4000;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  absl::StatusOr<v1::DatasetManifest> slower = absl::UnknownError("has not ended");
  std::thread writer([&] { slower = WriteFrom(ends[0], "part-00000"); });
  // More than a pipe holds: it has begun when all of this is written.
  REQUIRE_OK(WriteAll("the pipe", Records(0, kMany), ends[1]));
  const auto first = is_same ? WriteBytesAs(Records(0, kMany) + End(), "part-00000")
                             : WriteBytesAs(Records(0, 5) + End(), "part-00000");
  const absl::Status ended = WriteAll("the pipe", End(), ends[1]);
  close(ends[1]);
  writer.join();
  close(ends[0]);
  REQUIRE_OK(ended);
  REQUIRE_OK(first);
  if (is_same) {
    REQUIRE_OK(slower);
    CHECK(slower->DebugString() == first->DebugString());
  } else {
    REQUIRE_STATUS(slower, StatusCode::kAlreadyExists, "has other records");
  }
  CHECK(Entries() == std::vector<std::string>{"part-00000"});
  CHECK(fs::is_empty(temporary.path()));
  REQUIRE_OK(Join({*first}));
  REQUIRE_OK(ReadPartition(
      set, first->partitions(0), [](absl::string_view) { return absl::OkStatus(); }, storage));
}

TEST_CASE_METHOD(PlaceFixture, "a line that is not what the partition's own report says makes no set, even by force") {
  In(GENERATE(false, true));
  const auto first = Write(0, 3, "part-00000");
  const auto second = Write(3, 6, "part-00001");
  REQUIRE_OK(first);
  REQUIRE_OK(second);
  const auto refused = [&](const char* words, const auto& change) {
    v1::DatasetManifest changed = *second;
    change(&changed);
    for (const bool force : {false, true}) {
      const absl::Status joined = Join({*first, changed}, force);
      REQUIRE_STATUS(joined, StatusCode::kInvalidArgument, "partition part-00001");
      REQUIRE_STATUS(joined, StatusCode::kInvalidArgument, words);
      CHECK_FALSE(fs::exists(directory.File("set/manifest")));
    }
  };
  refused("crc32", [](v1::DatasetManifest* part) { part->mutable_partitions(0)->set_crc32(1); });
  refused("sample", [](v1::DatasetManifest* part) { part->mutable_partitions(0)->set_sample("other"); });
  refused("bytes", [](v1::DatasetManifest* part) { part->mutable_partitions(0)->set_bytes(7); });
  refused("height", [](v1::DatasetManifest* part) { part->set_height(7); });
  refused("format", [](v1::DatasetManifest* part) { part->set_format(9); });
  refused("encoded", [](v1::DatasetManifest* part) { part->set_encoded(true); });
  REQUIRE_OK(Join({*first, *second}));
  fs::remove(directory.File("set/part-00000/report"));
  REQUIRE_STATUS(Join({*first, *second}, true), StatusCode::kNotFound, "partition part-00000: there is no ");
  CHECK(ReadManifest(set, storage)->records() == 6);
}

TEST_CASE_METHOD(PlaceFixture, "what lies beside partitions and is not of a set stays there, and is told") {
  In(GENERATE(false, true));
  fs::create_directory(directory.File("set"));
  WriteBytes(directory.File("set/notes.txt"), "x");
  REQUIRE_STATUS(CheckJoinTarget(set, false, storage), StatusCode::kAlreadyExists, "notes.txt");
  const auto part = Write(0, 3, "part-00000");
  REQUIRE_OK(part);
  REQUIRE_OK(Join({*part}));
  CHECK_THAT(told, Catch::Contains("\"notes.txt\"") && Catch::Contains("it stays where it is"));
  CHECK(Entries() == std::vector<std::string>{"manifest", "notes.txt", "part-00000"});
  REQUIRE_OK(Dataset::Open(set, storage));
  // One process that makes the whole set would remove it with what it replaces.
  WriteDataset(directory.File("lmdb"), kShape, 13);
  ImportOptions options;
  options.partitions = 2;
  options.force = true;
  options.storage = storage;
  REQUIRE_STATUS(PartitionDataset(directory.File("lmdb"), set, options), StatusCode::kAlreadyExists, "\"notes.txt\"");
}

TEST_CASE_METHOD(Fixture, "partitions that do not fit together make no set") {
  const auto first = Write(0, 3, "part-00000");
  const auto longer = Write(3, 8, "part-00001");
  REQUIRE_OK(first);
  REQUIRE_OK(longer);
  REQUIRE_STATUS(Join({*first, *longer}), StatusCode::kInvalidArgument, "partition 0 (\"part-00000\") has 3 records");
  REQUIRE_STATUS(Join({*first, *first}), StatusCode::kInvalidArgument, "is there twice");
  REQUIRE_STATUS(Join({}), StatusCode::kInvalidArgument, "no partitions");
  const auto colours = Write(3, 6, "part-00002", {3, 4, 5});
  REQUIRE_OK(colours);
  REQUIRE_STATUS(Join({*first, *colours}), StatusCode::kInvalidArgument,
                 "partition part-00002 has records of 3 channels, but the first one has");
  fs::remove(directory.File("set/part-00000/data.mdb"));
  REQUIRE_STATUS(Join({*first}), StatusCode::kNotFound, "no such file, but the set's manifest names it");
  CHECK_FALSE(fs::exists(directory.File("set/manifest")));
}

TEST_CASE_METHOD(Fixture,
                 "a stream that was cut, or is none, makes no partition, and the error says behind which record") {
  const std::string record = Frame("a \"b\"", MakeDatum(kShape, 1, 1).SerializeAsString());
  for (const std::string& bytes : {std::string(), record, record + End().substr(1), record + record.substr(0, 20)}) {
    const auto part = WriteBytesAs(bytes, "part-00000");
    REQUIRE_STATUS(part.status(), StatusCode::kInvalidArgument, "without their end mark");
    REQUIRE_STATUS(part.status(), StatusCode::kInvalidArgument,
                   bytes.empty() ? "after the beginning" : "after record \"a \"b\"\"");
    CHECK(Entries().empty());
  }
  REQUIRE_STATUS(WriteBytesAs(record + std::string(4, 'x'), "part-00000").status(), StatusCode::kInvalidArgument,
                 "LMDB takes keys of 1 to 511");
  for (const std::string& more : {std::string("x"), record + End(), End()}) {
    REQUIRE_STATUS(WriteBytesAs(record + End() + more, "part-00000").status(), StatusCode::kInvalidArgument,
                   "go on behind their end mark, which comes after record \"a \"b\"\"");
  }
  REQUIRE_STATUS(WriteBytesAs(End(), "part-00000").status(), StatusCode::kInvalidArgument, "no records");
  for (const char* name : {"manifest", "part-../x", "part-a/b", ""}) {
    REQUIRE_STATUS(WriteBytesAs(record + End(), name).status(), StatusCode::kInvalidArgument, "names no partition");
  }
  CHECK(Entries().empty());
}

TEST_CASE_METHOD(Fixture, "a record that nobody could train on ends its partition, and the error names the record") {
  const std::string good = Frame("good", MakeDatum(kShape, 1, 1).SerializeAsString());
  const auto refused = [&](const std::string& key, const std::string& value, const std::string& reason) {
    INFO(reason);
    const auto part = WriteBytesAs(good + Frame(key, value) + End(), "part-00000");
    REQUIRE_STATUS(part.status(), StatusCode::kInvalidArgument, reason);
    CHECK(Entries().empty());
  };
  caffe::Datum datum = MakeDatum(kShape, 1, 1);
  datum.mutable_data()->pop_back();
  refused("h", datum.SerializeAsString(), "record \"h\": has 19 values; its shape is 1x4x5");
  datum.clear_data();
  for (int i = 0; i < 20; ++i) datum.add_float_data(i == 7 ? std::numeric_limits<float>::infinity() : 1.0f);
  refused("h", datum.SerializeAsString(), "record \"h\": has a value that is not finite");
  refused("h", MakeDatum({3, 4, 5}, 1, 1).SerializeAsString(),
          "record \"h\": has 3 channels, but the first record has 1");
  refused("h", "\xff", "record \"h\": its value is not a Datum of Caffe");
  datum.Clear();
  datum.set_encoded(true);
  datum.set_data(*EncodeImage({kShape, std::string(20, 'a')}, ImageFormat::kPng));
  refused("h", datum.SerializeAsString(), "record \"h\": is encoded, other than the first record");
  refused("good", MakeDatum(kShape, 1, 1).SerializeAsString(), "key \"good\" comes after \"good\"");
  refused("a", MakeDatum(kShape, 1, 1).SerializeAsString(), "key \"a\" comes after \"good\"");
}

TEST_CASE_METHOD(Fixture, "encoded images are kept as they are, and a damaged one is named") {
  caffe::Datum datum;
  datum.set_encoded(true);
  datum.set_label(4);
  datum.set_data(*EncodeImage({{3, 6, 5}, std::string(90, 'a')}, ImageFormat::kPng));
  const std::string good = datum.SerializeAsString();
  const auto part = WriteBytesAs(Frame("1", good) + Frame("2", good) + End(), "part-00000");
  REQUIRE_OK(part);
  CHECK(part->encoded());
  CHECK(part->channels() == 3);
  CHECK(part->height() == 6);
  REQUIRE_OK(Join({*part}));
  const auto dataset = Dataset::Open(set, storage);
  REQUIRE_OK(dataset);
  REQUIRE_OK((*dataset)->ForEach([&](const std::string&, absl::string_view value, const caffe::Datum&) {
    CHECK(value == good);
    return absl::OkStatus();
  }));
  datum.mutable_data()->resize(40);
  const auto damaged = WriteBytesAs(Frame("1", good) + Frame("2", datum.SerializeAsString()) + End(), "part-00001");
  CHECK_FALSE(damaged.ok());
  REQUIRE_STATUS(damaged.status(), damaged.status().code(), "record \"2\": ");
}

TEST_CASE_METHOD(Fixture, "a writer that is stopped while it waits for records ends, and leaves nothing") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  Stopper stopper;
  stopper.Stop();
  ImportOptions options;
  options.storage = storage;
  options.stopper = &stopper;
  REQUIRE_STATUS(WritePartition(ends[0], set, "part-00000", options).status(), StatusCode::kCancelled, "interrupted");
  CHECK(Entries().empty());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace samovar
