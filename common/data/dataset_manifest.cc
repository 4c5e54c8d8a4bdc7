#include "common/data/dataset_manifest.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/data/partition_cut.h"
#include "common/data/record_shape.h"
#include "common/storage/checksum.h"
#include "common/storage/local_storage.h"
#include "common/storage/paths.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kAnew = "copy the whole set again, or make it anew with `samovar data partition`";
// The longest manifest; with the most partitions and their longest names it has a quarter of that.
constexpr uint64_t kMaxManifestBytes = 64 << 20;
// The longest report; with the longest name it has a few hundred.
constexpr uint64_t kMaxReportBytes = 64 << 10;
constexpr absl::string_view kPrintedLine = "the line that `samovar data write-partition` has printed for the partition";
constexpr size_t kMaxNameLength = 64;
constexpr size_t kPieceBytes = 1 << 20;

std::string ManifestPath(const std::string& set) { return absl::StrCat(set, "/", kManifestName); }

bool IsOfThisMachine(const std::string& set) { return LocalPath(set).ok(); }

absl::StatusOr<bool> IsThere(const std::string& uri, const StorageTable& storage) {
  const absl::Status found = storage.Stat(uri).status();
  if (absl::IsNotFound(found)) return false;
  SAMOVAR_RETURN_IF_ERROR(found);
  return true;
}

absl::Status Damaged(const std::string& set, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(ManifestPath(set), ": ", what, "; ", kAnew));
}

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  void AddWarning(int, int, const std::string&) override {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// CRC-32 of what the reader gives; each piece of it is given to `take`.
absl::StatusOr<uint32_t> ChecksumOf(RangeReader* reader, absl::FunctionRef<absl::Status(absl::string_view)> take) {
  std::vector<char> piece(kPieceBytes);
  uint32_t crc = 0;
  for (;;) {
    SAMOVAR_ASSIGN_OR_RETURN(const size_t got, reader->Read(piece));
    if (got == 0) return crc;
    const absl::string_view read_piece(piece.data(), got);
    crc = ExtendCrc32(crc, read_piece);
    SAMOVAR_RETURN_IF_ERROR(take(read_piece));
  }
}

// The manifest's text.
absl::StatusOr<std::string> ReadText(const std::string& set, const StorageTable& storage) {
  if (IsOfThisMachine(set)) return ReadFile(ManifestPath(set), kMaxManifestBytes);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader,
                           storage.OpenRange(ManifestPath(set), 0, kMaxManifestBytes));
  if (reader->file_bytes() > kMaxManifestBytes) return Damaged(set, "is longer than a manifest is");
  std::string text;
  SAMOVAR_RETURN_IF_ERROR(ChecksumOf(reader.get(), [&](absl::string_view piece) {
                            absl::StrAppend(&text, piece);
                            return absl::OkStatus();
                          }).status());
  return text;
}

// The error of the manifest; empty: it has none.
std::string FaultOf(const v1::DatasetManifest& manifest) {
  const auto count = static_cast<uint64_t>(manifest.partitions_size());
  if (count == 0 || count > kMaxSetPartitions)
    return absl::StrCat("has ", count, " partitions, not 1 to ", kMaxSetPartitions);
  if (manifest.records() < count)
    return absl::StrCat("says that ", count, " partitions have ", manifest.records(), " records");
  const auto fits = [](uint64_t size) { return size >= 1 && size <= kMaxRecordElements; };
  if (!fits(manifest.channels()) || !fits(manifest.height()) || !fits(manifest.width()) ||
      uint64_t{manifest.channels()} * manifest.height() > kMaxRecordElements ||
      uint64_t{manifest.channels()} * manifest.height() * manifest.width() > kMaxRecordElements) {
    return absl::StrCat("says that records are ", manifest.channels(), "x", manifest.height(), "x", manifest.width(),
                        ", but a record has 1 to ", kMaxRecordElements, " values");
  }
  const PartitionCut cut = {manifest.records(), static_cast<uint32_t>(count)};
  std::set<std::string> names;
  uint64_t bytes_left = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < manifest.partitions_size(); ++i) {
    const v1::DatasetPartition& partition = manifest.partitions(i);
    const std::string name =
        absl::StrCat("partition ", i, " (\"", absl::CHexEscape(partition.directory().substr(0, kMaxNameLength)), "\")");
    if (!IsPartitionDirectory(partition.directory()))
      return absl::StrCat(name, " is not named as a directory in the set");
    if (!names.insert(partition.directory()).second) return absl::StrCat(name, " is there twice");
    const uint64_t records = cut.Size(static_cast<uint32_t>(i));
    if (partition.records() != records) {
      return absl::StrCat(name, " has ", partition.records(), " records; of ", manifest.records(), " in ", count,
                          " partitions it has ", records);
    }
    if (partition.bytes() == 0 || partition.bytes() > bytes_left)
      return absl::StrCat(name, " has ", partition.bytes(), " bytes");
    bytes_left -= partition.bytes();
  }
  return "";
}

}  // namespace

bool IsPartitioned(const std::string& directory) {
  std::error_code error;
  return fs::exists(ManifestPath(directory), error) && !fs::exists(absl::StrCat(directory, "/data.mdb"), error);
}

absl::StatusOr<bool> IsPartitioned(const std::string& directory, const StorageTable& storage) {
  if (IsOfThisMachine(directory)) return IsPartitioned(directory);
  SAMOVAR_ASSIGN_OR_RETURN(const bool has_manifest, IsThere(ManifestPath(directory), storage));
  if (!has_manifest) return false;
  SAMOVAR_ASSIGN_OR_RETURN(const bool is_lmdb, IsThere(absl::StrCat(directory, "/data.mdb"), storage));
  return !is_lmdb;
}

bool IsPartitionDirectory(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameLength || name[0] == '.') return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

absl::Status CheckManifest(const v1::DatasetManifest& manifest) {
  const std::string fault = FaultOf(manifest);
  return fault.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrCat("the manifest ", fault));
}

std::string PartitionName(uint32_t partition) { return absl::StrFormat("part-%05d", partition); }

absl::StatusOr<v1::DatasetManifest> ReadManifest(const std::string& set, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, ReadText(set, storage));
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(10);
  // The error for a later format must name its number, not its first new field.
  parser.AllowUnknownField(true);
  google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  v1::DatasetManifest manifest;
  if (!parser.Parse(&input, &manifest)) return Damaged(set, absl::StrCat("is not a manifest: ", error.text()));
  if (manifest.format() > kManifestFormat) {
    return absl::InvalidArgumentError(absl::StrCat(ManifestPath(set), ": is of format ", manifest.format(),
                                                   ", and this version reads ", kManifestFormat,
                                                   "; use a newer one, or make the set anew with this one"));
  }
  if (manifest.format() == 0) return Damaged(set, "does not say its format");
  if (const std::string fault = FaultOf(manifest); !fault.empty()) return Damaged(set, fault);
  return manifest;
}

absl::StatusOr<std::string> TextOf(const v1::DatasetManifest& manifest) {
  std::string text;
  if (google::protobuf::TextFormat::PrintToString(manifest, &text)) return text;
  return absl::InternalError("the manifest cannot be printed");
}

absl::Status WriteManifest(const std::string& set, const v1::DatasetManifest& manifest, const StorageTable& storage) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, TextOf(manifest));
  return storage.PutBytes(ManifestPath(set), text);
}

absl::Status CheckReport(const std::string& set, const v1::DatasetManifest& part, const StorageTable& storage) {
  if (part.partitions_size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("a line of the input names ", part.partitions_size(),
                                                   " partitions; ", kPrintedLine, " names one"));
  }
  const std::string& directory = part.partitions(0).directory();
  const std::string path = absl::StrCat(set, "/", directory, "/", kReportName);
  const absl::StatusOr<std::string> text = storage.ReadBytes(path, kMaxReportBytes);
  if (absl::IsNotFound(text.status()) || absl::IsFailedPrecondition(text.status())) {
    return absl::NotFoundError(absl::StrCat("partition ", directory, ": there is no ", path,
                                            "; write the partition with `samovar data write-partition`"));
  }
  SAMOVAR_RETURN_IF_ERROR(text.status());
  v1::DatasetManifest report;
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(*text, &report)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not a partition's report: ", error.text(), "; write the partition anew"));
  }
  std::string differences;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  if (differencer.Compare(report, part)) return absl::OkStatus();
  absl::StripTrailingAsciiWhitespace(&differences);
  return absl::InvalidArgumentError(absl::StrCat("partition ", directory, ": its line of the input is not what ", path,
                                                 " says (", absl::StrReplaceAll(differences, {{"\n", ", "}}),
                                                 "); give ", kPrintedLine));
}

uint64_t BytesOf(const v1::DatasetManifest& manifest) {
  uint64_t bytes = 0;
  for (const v1::DatasetPartition& partition : manifest.partitions()) bytes += partition.bytes();
  return bytes;
}

std::string PartitionFile(const std::string& set, const v1::DatasetPartition& partition) {
  return absl::StrCat(set, "/", partition.directory(), "/data.mdb");
}

absl::Status CheckPartitionSize(const std::string& set, const v1::DatasetPartition& partition,
                                const StorageTable& storage) {
  const std::string path = PartitionFile(set, partition);
  const absl::StatusOr<StoredFile> file = storage.Stat(path);
  if (absl::IsNotFound(file.status()) || absl::IsFailedPrecondition(file.status())) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file, but the set's manifest names it; ", kAnew));
  }
  SAMOVAR_RETURN_IF_ERROR(file.status());
  if (file->bytes == partition.bytes()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, ": has ", file->bytes, " bytes, but ", partition.bytes(), " by the set's manifest; ", kAnew));
}

absl::StatusOr<uint32_t> ChecksumOf(const std::string& path, absl::FunctionRef<absl::Status(absl::string_view)> take) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader,
                           LocalStorage().OpenRange(path, 0, std::numeric_limits<uint64_t>::max()));
  return ChecksumOf(reader.get(), take);
}

absl::Status ReadPartition(const std::string& set, const v1::DatasetPartition& partition,
                           absl::FunctionRef<absl::Status(absl::string_view)> take, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(CheckPartitionSize(set, partition, storage));
  const std::string path = PartitionFile(set, partition);
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader,
                           storage.OpenRange(path, 0, std::numeric_limits<uint64_t>::max()));
  uint64_t bytes = 0;
  SAMOVAR_ASSIGN_OR_RETURN(const uint32_t crc, ChecksumOf(reader.get(), [&](absl::string_view piece) {
                             bytes += piece.size();
                             // One that grows is not read for ever.
                             return bytes <= partition.bytes()
                                        ? take(piece)
                                        : absl::DataLossError(absl::StrCat(path, ": grows while it is read"));
                           }));
  if (bytes == partition.bytes() && crc == partition.crc32()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%s: its checksum is %08x, but %08x by the set's manifest: it is damaged; %s", path, crc,
                      partition.crc32(), kAnew));
}

}  // namespace samovar
