#include "common/model/exported_snapshot.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/model/chunk_plan.h"
#include "common/model/job_spec_before.h"
#include "common/model/layout.h"
#include "common/model/solver_history.h"
#include "common/storage/checksum.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace samovar {
namespace {

constexpr uint32_t kFormat = 2;
// The oldest that is read. In it, the spec had the fields of its Consistency one by one.
constexpr uint32_t kOldestFormat = 1;
constexpr char kManifest[] = "manifest";
constexpr char kChunksSuffix[] = ".chunks";
constexpr char kChecksumLine[] = "\ncrc32: ";
constexpr uint64_t kMaxManifestBytes = uint64_t{256} << 20;
// Weights and histories of the largest chunk are 3 MiB; the rest is for its ledger.
constexpr uint64_t kMaxRecordBytes = uint64_t{64} << 20;

// Protobuf's text parser would write to stderr.
class Silence : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

absl::StatusOr<v1::ExportManifest> ParseManifest(const std::string& text) {
  const size_t end = text.rfind(kChecksumLine);
  if (end == std::string::npos) return absl::DataLossError("it has no checksum, so that its end is missing");
  const absl::string_view checked = absl::string_view(text).substr(0, end + 1);
  if (absl::string_view(text).substr(end) != absl::StrCat(kChecksumLine, Crc32(checked), "\n")) {
    return absl::DataLossError("its checksum is wrong");
  }
  v1::ExportManifest manifest;
  Silence silence;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silence);
  if (!parser.ParseFromString(text, &manifest)) return absl::DataLossError("it cannot be parsed");
  if (manifest.spec().has_consistency()) return manifest;
  v1::ExportManifestBefore before;
  parser.AllowUnknownField(true);
  if (!parser.ParseFromString(text, &before)) return absl::DataLossError("it cannot be parsed");
  *manifest.mutable_spec()->mutable_consistency() = ConsistencyBefore(before.spec());
  return manifest;
}

std::string ManifestPath(const std::string& directory) { return absl::StrCat(directory, "/", kManifest); }

// Whether the name is that of a file in the directory.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

std::string ExportedSnapshot::manifest_path() const { return ManifestPath(directory_); }

absl::StatusOr<ExportedSnapshot> ExportedSnapshot::Open(const std::string& directory, const StorageTable& storage) {
  const std::string path = ManifestPath(directory);
  SAMOVAR_ASSIGN_OR_RETURN(const std::string local, storage.Fetch(path));
  const absl::StatusOr<std::string> text = ReadFile(local, kMaxManifestBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat(directory, " is no exported snapshot: it has no manifest, which is written last"));
  }
  SAMOVAR_RETURN_IF_ERROR(text.status());
  absl::StatusOr<v1::ExportManifest> manifest = ParseManifest(*text);
  absl::Status status = manifest.status();
  if (status.ok() && (manifest->format() < kOldestFormat || manifest->format() > kFormat)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " has format ", manifest->format(),
                                                      "; this version of samovar reads formats ", kOldestFormat, " to ",
                                                      kFormat));
  }
  if (status.ok()) {
    ExportedSnapshot snapshot(directory, *std::move(manifest), storage);
    status = snapshot.FindPlaces();
    if (status.ok()) return snapshot;
  }
  return absl::DataLossError(absl::StrCat(path, " is damaged: ", status.message(), "; take another snapshot"));
}

absl::StatusOr<ExportedSnapshot> ExportedSnapshot::Find(const std::string& path, const StorageTable& storage) {
  if (storage.Exists(ManifestPath(path))) return Open(path, storage);
  std::optional<std::pair<uint64_t, std::string>> newest;
  std::string job_id;
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> files, storage.List(path));
  for (const StoredFile& file : files) {
    const std::string directory = absl::StrCat(path, "/", file.name);
    // A file, or a directory with something else.
    if (!storage.Exists(ManifestPath(directory))) continue;
    const absl::StatusOr<ExportedSnapshot> snapshot = Open(directory, storage);
    // It is being written, or something else.
    if (absl::IsNotFound(snapshot.status())) continue;
    SAMOVAR_RETURN_IF_ERROR(snapshot.status());
    const v1::ExportManifest& manifest = snapshot->manifest();
    if (newest.has_value() && manifest.spec().job_id() != job_id) {
      return absl::FailedPreconditionError(absl::StrCat(path, " has snapshots of the jobs \"", job_id, "\" and \"",
                                                        manifest.spec().job_id(),
                                                        "\"; name one of the directories in it"));
    }
    job_id = manifest.spec().job_id();
    if (!newest.has_value() || manifest.iteration() > newest->first)
      newest = {manifest.iteration(), snapshot->directory()};
  }
  if (newest.has_value()) return Open(newest->second, storage);
  return absl::NotFoundError(
      absl::StrCat(path, " neither is an exported snapshot nor has any in it: there is no manifest"));
}

absl::Status ExportedSnapshot::FindPlaces() {
  const v1::ParameterLayout& layout = manifest_.spec().layout();
  SAMOVAR_RETURN_IF_ERROR(CheckLayout(layout));
  SAMOVAR_ASSIGN_OR_RETURN(const ChunkPlan plan, ChunkPlan::Create(layout.elements(), manifest_.chunk_elements(), 1));
  uint64_t named = 0;
  for (const v1::ExportedFile& file : manifest_.files()) named += static_cast<uint64_t>(file.chunks_size());
  if (named != plan.chunks())
    return absl::DataLossError(absl::StrCat("it names ", named, " of ", plan.chunks(), " chunks"));
  places_.resize(plan.chunks());
  for (int f = 0; f < manifest_.files_size(); ++f) {
    const v1::ExportedFile& file = manifest_.files(f);
    if (!IsPlainName(file.name())) return absl::DataLossError("a file in it has no plain name");
    for (int i = 0; i < file.chunks_size(); ++i) {
      const v1::ExportedChunk& chunk = file.chunks(i);
      if (chunk.chunk() >= plan.chunks() || places_[chunk.chunk()].file >= 0) {
        return absl::DataLossError(absl::StrCat("chunk ", chunk.chunk(), " is in it twice, or not of its net"));
      }
      if (chunk.bytes() > kMaxRecordBytes || chunk.offset() > file.bytes() ||
          chunk.bytes() > file.bytes() - chunk.offset()) {
        return absl::DataLossError(absl::StrCat("chunk ", chunk.chunk(), " is not inside ", file.name()));
      }
      places_[chunk.chunk()] = {f, i};
    }
  }
  return absl::OkStatus();
}

absl::Status ExportedSnapshot::CheckFits(const v1::ParameterLayout& layout,
                                         const caffe::SolverParameter& solver) const {
  if (LayoutFingerprint(layout) != LayoutFingerprint(manifest_.spec().layout())) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory_,
                     " is a snapshot of another net: its layers or their shapes differ; "
                     "begin from it with the net that wrote it"));
  }
  SAMOVAR_ASSIGN_OR_RETURN(const std::string type, SolverTypeOf(solver));
  SAMOVAR_ASSIGN_OR_RETURN(const std::string written, SolverTypeOf(manifest_.spec().solver()));
  if (type != written) {
    return absl::FailedPreconditionError(absl::StrCat(directory_, " is a snapshot of a solver of type ", written,
                                                      ", this one is ", type,
                                                      "; begin from it with the type that wrote it"));
  }
  if (manifest_.iteration() <= static_cast<uint64_t>(std::max(0, solver.max_iter()))) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(directory_, " is of iteration ", manifest_.iteration(), ", beyond max_iter ", solver.max_iter()));
}

absl::StatusOr<std::unique_ptr<RangeReader>> ExportedSnapshot::OpenFile(const v1::ExportedFile& file, uint64_t offset,
                                                                        uint64_t bytes) const {
  const std::string path = absl::StrCat(directory_, "/", file.name());
  SAMOVAR_ASSIGN_OR_RETURN(std::unique_ptr<RangeReader> reader, storage_.OpenRange(path, offset, bytes));
  if (reader->file_bytes() == file.bytes()) return reader;
  return absl::DataLossError(absl::StrCat(path, " has ", reader->file_bytes(), " bytes, its snapshot's manifest says ",
                                          file.bytes(), "; it was cut or changed: take another snapshot"));
}

absl::Status ExportedSnapshot::CheckSizes() const {
  for (const v1::ExportedFile& file : manifest_.files()) SAMOVAR_RETURN_IF_ERROR(OpenFile(file, 0, 0).status());
  return absl::OkStatus();
}

absl::Status ExportedSnapshot::CheckFiles() const {
  SAMOVAR_RETURN_IF_ERROR(CheckSizes());
  for (const v1::ExportedFile& file : manifest_.files()) {
    for (const v1::ExportedChunk& chunk : file.chunks()) SAMOVAR_RETURN_IF_ERROR(ReadRecordOf(file, chunk).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ExportedSnapshot::ReadRecordOf(const v1::ExportedFile& file,
                                                           const v1::ExportedChunk& chunk) const {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader, OpenFile(file, chunk.offset(), chunk.bytes()));
  std::string record(chunk.bytes(), '\0');
  SAMOVAR_ASSIGN_OR_RETURN(const size_t count, reader->Read(record));
  if (count == record.size() && Crc32(record) == chunk.crc32()) return record;
  return absl::DataLossError(absl::StrCat(directory_, "/", file.name(), " is damaged: the checksum of chunk ",
                                          chunk.chunk(), " is wrong; take another snapshot"));
}

absl::StatusOr<std::string> ExportedSnapshot::ReadRecord(uint32_t chunk) const {
  const Place& place = places_[chunk];
  const v1::ExportedFile& file = manifest_.files(place.file);
  return ReadRecordOf(file, file.chunks(place.index));
}

std::string ExportPath(const std::string& directory, const std::string& job_id, uint64_t iteration) {
  return absl::StrCat(directory, "/", job_id, "_iter_", iteration);
}

absl::Status WriteExportManifest(const std::string& directory, v1::ExportManifest manifest,
                                 const StorageTable& storage) {
  manifest.set_format(kFormat);
  manifest.clear_crc32();
  std::string text;
  if (!google::protobuf::TextFormat::PrintToString(manifest, &text))
    return absl::InternalError("the manifest cannot be printed");
  absl::StrAppend(&text, absl::string_view(kChecksumLine).substr(1), Crc32(text), "\n");
  return storage.PutBytes(ManifestPath(directory), text);
}

void RemoveExport(const std::string& directory, const StorageTable& storage) {
  // A file that cannot be removed stays, and the directory with it.
  (void)storage.Remove(ManifestPath(directory));
  for (const StoredFile& file : storage.List(directory).value_or(std::vector<StoredFile>())) {
    if (absl::EndsWith(file.name, kChunksSuffix) || absl::EndsWith(file.name, ".tmp"))
      (void)storage.Remove(absl::StrCat(directory, "/", file.name));
  }
  (void)storage.Remove(directory);
}

}  // namespace samovar
