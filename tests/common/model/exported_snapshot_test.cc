#include "common/model/exported_snapshot.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/storage/checksum.h"
#include "tests/support/catch.h"
#include "tests/support/mounted_storage.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

constexpr uint32_t kChunkElements = 4096;
constexpr uint64_t kElements = 3 * kChunkElements - 1;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteAllTo(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

v1::ParameterLayout Layout(uint64_t elements = kElements) {
  v1::ParameterLayout layout;
  v1::ParameterBlob* blob = layout.add_blobs();
  blob->set_layer("ip");
  blob->add_shape(static_cast<int64_t>(elements));
  blob->mutable_filler()->set_type("constant");
  layout.set_elements(elements);
  return layout;
}

caffe::SolverParameter Solver(const std::string& type = "SGD") {
  caffe::SolverParameter solver;
  solver.set_type(type);
  solver.set_max_iter(1000);
  return solver;
}

// Three chunks in two files; the readers do not look into records.
v1::ExportManifest Manifest(const std::string& job_id, uint64_t iteration) {
  v1::ExportManifest manifest;
  manifest.set_run(7);
  manifest.set_iteration(iteration);
  manifest.set_chunk_elements(kChunkElements);
  manifest.mutable_spec()->set_job_id(job_id);
  *manifest.mutable_spec()->mutable_layout() = Layout();
  *manifest.mutable_spec()->mutable_solver() = Solver();
  return manifest;
}

std::string RecordOf(uint32_t chunk) { return std::string(100 + chunk, static_cast<char>('a' + chunk)); }

v1::ExportManifest WriteFiles(const std::string& directory, v1::ExportManifest manifest) {
  std::filesystem::create_directories(directory);
  for (uint32_t server = 0; server < 2; ++server) {
    v1::ExportedFile* file = manifest.add_files();
    file->set_name(absl::StrCat("server-", server, "-of-2.chunks"));
    std::string bytes;
    for (uint32_t number = server; number < 3; number += 2) {
      const std::string record = RecordOf(number);
      v1::ExportedChunk* chunk = file->add_chunks();
      chunk->set_chunk(number);
      chunk->set_offset(bytes.size());
      chunk->set_bytes(record.size());
      chunk->set_crc32(Crc32(record));
      bytes += record;
    }
    file->set_bytes(bytes.size());
    WriteAllTo(absl::StrCat(directory, "/", file->name()), bytes);
  }
  return manifest;
}

void Export(const std::string& directory, const std::string& job_id = "lenet", uint64_t iteration = 500) {
  REQUIRE_OK(WriteExportManifest(directory, WriteFiles(directory, Manifest(job_id, iteration)), StorageTable()));
}

// Writes a manifest of such text, with its checksum.
void WriteText(const std::string& directory, const std::string& text) {
  WriteAllTo(absl::StrCat(directory, "/manifest"), absl::StrCat(text, "crc32: ", Crc32(text), "\n"));
}

}  // namespace

TEST_CASE("what was exported is read chunk by chunk") {
  const TempDir dir;
  Export(dir.path());
  const auto snapshot = ExportedSnapshot::Open(dir.path(), StorageTable());
  REQUIRE_OK(snapshot);
  CHECK(snapshot->manifest().iteration() == 500);
  CHECK(snapshot->manifest().run() == 7);
  REQUIRE_OK(snapshot->CheckFits(Layout(), Solver()));
  REQUIRE_OK(snapshot->CheckSizes());
  REQUIRE_OK(snapshot->CheckFiles());
  for (uint32_t chunk = 0; chunk < 3; ++chunk) CHECK(*snapshot->ReadRecord(chunk) == RecordOf(chunk));
}

TEST_CASE("a directory without a manifest is no snapshot") {
  const TempDir dir;
  WriteFiles(dir.path(), Manifest("lenet", 500));
  REQUIRE_STATUS(ExportedSnapshot::Open(dir.path(), StorageTable()), absl::StatusCode::kNotFound, "it has no manifest");
  REQUIRE_STATUS(ExportedSnapshot::Find(dir.path(), StorageTable()), absl::StatusCode::kNotFound,
                 "there is no manifest");
  CHECK(absl::IsNotFound(ExportedSnapshot::Find(dir.File("nowhere"), StorageTable()).status()));
}

TEST_CASE("of several snapshots in a directory the newest is found, if they are of one job") {
  const TempDir dir;
  Export(ExportPath(dir.path(), "lenet", 500), "lenet", 500);
  Export(ExportPath(dir.path(), "lenet", 1500), "lenet", 1500);
  WriteFiles(ExportPath(dir.path(), "lenet", 2000), Manifest("lenet", 2000));
  WriteAllTo(dir.File("notes.txt"), "mine");
  const auto newest = ExportedSnapshot::Find(dir.path(), StorageTable());
  REQUIRE_OK(newest);
  CHECK(newest->directory() == dir.File("lenet_iter_1500"));
  Export(ExportPath(dir.path(), "other", 9000), "other", 9000);
  REQUIRE_STATUS(ExportedSnapshot::Find(dir.path(), StorageTable()), absl::StatusCode::kFailedPrecondition,
                 "name one of the directories in it");
}

TEST_CASE("a snapshot in another storage is written, found, read and removed there") {
  const TempDir dir;
  const auto mounted = std::make_shared<MountedStorage>(dir.path());
  StorageTable storage;
  storage.Add("mem", mounted);
  const std::string uri = "mem:/out/lenet_iter_500";
  const v1::ExportManifest manifest = WriteFiles(dir.File("out/lenet_iter_500"), Manifest("lenet", 500));
  REQUIRE_OK(WriteExportManifest(uri, manifest, storage));
  const auto snapshot = ExportedSnapshot::Find("mem:/out", storage);
  REQUIRE_OK(snapshot);
  CHECK(snapshot->directory() == uri);
  REQUIRE_OK(snapshot->CheckSizes());
  REQUIRE_OK(snapshot->CheckFiles());
  for (uint32_t chunk = 0; chunk < 3; ++chunk) CHECK(*snapshot->ReadRecord(chunk) == RecordOf(chunk));
  for (const char* const call : {"put mem:/out/lenet_iter_500/manifest", "fetch mem:/out/lenet_iter_500/manifest",
                                 "open mem:/out/lenet_iter_500/server-1-of-2.chunks", "list mem:/out"}) {
    INFO(call);
    CHECK(mounted->Had(call));
  }
  RemoveExport(uri, storage);
  CHECK(std::filesystem::is_empty(dir.File("out")));
  REQUIRE_STATUS(ExportedSnapshot::Find(uri, StorageTable()), absl::StatusCode::kInvalidArgument, "is not offered");
}

TEST_CASE("a manifest of the version before has the consistency that its job had") {
  const TempDir dir;
  Export(dir.path());
  std::string text = ReadAll(dir.File("manifest"));
  text.resize(text.find("crc32: ", text.rfind('\n', text.size() - 2)));
  const auto replaced = [&text](const std::string& from, const std::string& to) {
    std::string changed = text;
    REQUIRE(changed.find(from) != std::string::npos);
    return changed.replace(changed.find(from), from.size(), to);
  };
  text = replaced("format: 2\n", "format: 1\n");
  WriteText(dir.path(), replaced("spec {\n",
                                 "spec {\n  mode: CONSISTENCY_SYNC\n  parts: 4\n  encoding: ENCODING_BFLOAT16\n"
                                 "  delay_compensation: 0.04\n  on_numeric_failure: NUMERIC_FAILURE_SKIP\n"));
  const auto snapshot = ExportedSnapshot::Open(dir.path(), StorageTable());
  REQUIRE_OK(snapshot);
  const v1::Consistency& consistency = snapshot->manifest().spec().consistency();
  CHECK(consistency.mode() == v1::CONSISTENCY_SYNC);
  CHECK(consistency.parts() == 4);
  CHECK(consistency.encoding() == v1::ENCODING_BFLOAT16);
  CHECK(consistency.delay_compensation() == 0.04f);
  CHECK(consistency.on_numeric_failure() == v1::NUMERIC_FAILURE_SKIP);
  CHECK(snapshot->manifest().spec().job_id() == "lenet");
  for (uint32_t chunk = 0; chunk < 3; ++chunk) CHECK(*snapshot->ReadRecord(chunk) == RecordOf(chunk));
  text = replaced("format: 1\n", "format: 3\n");
  WriteText(dir.path(), text);
  REQUIRE_STATUS(ExportedSnapshot::Open(dir.path(), StorageTable()), absl::StatusCode::kFailedPrecondition,
                 "has format 3; this version of samovar reads formats 1 to 2");
}

TEST_CASE("a manifest that was cut or changed anywhere is refused by name") {
  const TempDir dir;
  Export(dir.path());
  const std::string whole = ReadAll(dir.File("manifest"));
  const auto opens = [&](const std::string& text) {
    WriteAllTo(dir.File("manifest"), text);
    const auto snapshot = ExportedSnapshot::Open(dir.path(), StorageTable());
    if (!snapshot.ok()) REQUIRE_STATUS(snapshot, absl::StatusCode::kDataLoss, dir.File("manifest"));
    return snapshot.ok();
  };
  CHECK(opens(whole));
  for (size_t size = 0; size < whole.size(); ++size) REQUIRE_FALSE(opens(whole.substr(0, size)));
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] ^= 1;
    INFO(changed);
    REQUIRE_FALSE(opens(changed));
  }
  CHECK_FALSE(opens(std::string("\0\xff garbage\ncrc32: 1\n", 20)));
}

TEST_CASE("a manifest whose checksum is right and whose content is not is refused, too") {
  const TempDir dir;
  v1::ExportManifest manifest = WriteFiles(dir.path(), Manifest("lenet", 500));
  v1::ExportedChunk* chunk = manifest.mutable_files(0)->mutable_chunks(0);
  SECTION("a chunk beyond its file") { chunk->set_bytes(manifest.files(0).bytes() + 1); }
  SECTION("an offset that overflows") { chunk->set_offset(UINT64_MAX); }
  SECTION("a chunk twice") { chunk->set_chunk(1); }
  SECTION("a chunk that the net has not") { chunk->set_chunk(3); }
  SECTION("a chunk too few") { manifest.mutable_files(0)->mutable_chunks()->RemoveLast(); }
  SECTION("a file outside") { manifest.mutable_files(0)->set_name("../manifest"); }
  SECTION("no name") { manifest.mutable_files(0)->clear_name(); }
  SECTION("no chunk size") { manifest.clear_chunk_elements(); }
  SECTION("a layout that is none") { manifest.mutable_spec()->mutable_layout()->set_elements(uint64_t{1} << 60); }
  REQUIRE_OK(WriteExportManifest(dir.path(), manifest, StorageTable()));
  REQUIRE_STATUS(ExportedSnapshot::Open(dir.path(), StorageTable()), absl::StatusCode::kDataLoss, "is damaged");
}

TEST_CASE("a file that is missing, cut or damaged is refused by name") {
  const TempDir dir;
  Export(dir.path());
  const auto snapshot = ExportedSnapshot::Open(dir.path(), StorageTable());
  REQUIRE_OK(snapshot);
  const std::string path = dir.File("server-1-of-2.chunks");
  std::string bytes = ReadAll(path);
  SECTION("missing") {
    std::filesystem::remove(path);
    REQUIRE_STATUS(snapshot->CheckFiles(), absl::StatusCode::kNotFound, path);
    REQUIRE_STATUS(snapshot->CheckSizes(), absl::StatusCode::kNotFound, path);
    REQUIRE_STATUS(snapshot->ReadRecord(1), absl::StatusCode::kNotFound, path);
  }
  SECTION("cut") {
    WriteAllTo(path, bytes.substr(0, bytes.size() - 1));
    REQUIRE_STATUS(snapshot->CheckFiles(), absl::StatusCode::kDataLoss, path);
    REQUIRE_STATUS(snapshot->CheckSizes(), absl::StatusCode::kDataLoss, path);
    REQUIRE_STATUS(snapshot->ReadRecord(1), absl::StatusCode::kDataLoss, "manifest says 101");
  }
  SECTION("damaged") {
    bytes[50] ^= 1;
    WriteAllTo(path, bytes);
    REQUIRE_STATUS(snapshot->CheckFiles(), absl::StatusCode::kDataLoss, path);
    REQUIRE_STATUS(snapshot->ReadRecord(1), absl::StatusCode::kDataLoss, "the checksum of chunk 1 is wrong");
    // The other server's is whole.
    REQUIRE_OK(snapshot->ReadRecord(0));
  }
}

TEST_CASE("a job of another net or solver cannot begin from a snapshot") {
  const TempDir dir;
  Export(dir.path());
  const auto snapshot = ExportedSnapshot::Open(dir.path(), StorageTable());
  REQUIRE_OK(snapshot);
  REQUIRE_STATUS(snapshot->CheckFits(Layout(kElements + 1), Solver()), absl::StatusCode::kFailedPrecondition,
                 "of another net");
  REQUIRE_STATUS(snapshot->CheckFits(Layout(), Solver("Adam")), absl::StatusCode::kFailedPrecondition,
                 "type SGD, this one is Adam");
  caffe::SolverParameter early = Solver();
  early.set_max_iter(499);
  REQUIRE_STATUS(snapshot->CheckFits(Layout(), early), absl::StatusCode::kFailedPrecondition, "beyond max_iter 499");
}

TEST_CASE("removing a snapshot leaves other files alone") {
  const TempDir dir;
  const std::string directory = dir.File("lenet_iter_500");
  Export(directory);
  WriteAllTo(absl::StrCat(directory, "/notes.txt"), "mine");
  RemoveExport(directory, StorageTable());
  CHECK(ReadAll(absl::StrCat(directory, "/notes.txt")) == "mine");
  CHECK_FALSE(std::filesystem::exists(absl::StrCat(directory, "/manifest")));
  CHECK_FALSE(std::filesystem::exists(absl::StrCat(directory, "/server-0-of-2.chunks")));
  std::filesystem::remove(absl::StrCat(directory, "/notes.txt"));
  RemoveExport(directory, StorageTable());
  CHECK_FALSE(std::filesystem::exists(directory));
}

}  // namespace samovar
