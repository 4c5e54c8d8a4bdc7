#include "common/import/set_upload.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/printable.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/storage/local_storage.h"
#include "common/storage/write_file.h"

namespace samovar {
namespace {

constexpr absl::string_view kLmdbFile = "data.mdb";
constexpr absl::string_view kLockFile = "lock.mdb";
constexpr absl::string_view kPartitionPrefix = "part-";
constexpr size_t kPieceBytes = 4 << 20;
// Reports have a few hundred.
constexpr uint64_t kMaxReportBytes = 64 << 10;

bool IsPartition(const StoredFile& file) { return file.is_directory && absl::StartsWith(file.name, kPartitionPrefix); }

bool IsOfSet(const StoredFile& file) {
  return IsPartition(file) ||
         (!file.is_directory && (file.name == kLmdbFile || file.name == kLockFile || file.name == kManifestName));
}

// None: there is nothing.
absl::StatusOr<std::vector<StoredFile>> EntriesOf(const std::string& uri, const StorageTable& storage) {
  const absl::StatusOr<StoredFile> there = storage.Stat(uri);
  if (absl::IsNotFound(there.status())) return std::vector<StoredFile>();
  SAMOVAR_RETURN_IF_ERROR(there.status());
  if (there->is_directory) return storage.List(uri);
  return absl::AlreadyExistsError(
      absl::StrCat(uri, ": is a file, not an LMDB, so it is not replaced; choose another path"));
}

// HDFS has a file under another name while it is written, ".data.mdb.0123abcd.tmp".
bool IsUnfinished(const StoredFile& file) {
  return !file.is_directory && absl::EndsWith(file.name, ".tmp") &&
         (absl::StartsWith(file.name, absl::StrCat(".", kLmdbFile, ".")) ||
          absl::StartsWith(file.name, absl::StrCat(".", kReportName, ".")));
}

bool IsOfPartition(const StoredFile& file) {
  const bool is_known = file.name == kLmdbFile || file.name == kLockFile || file.name == kReportName;
  return !file.is_directory && (is_known || IsUnfinished(file));
}

bool HasFile(const std::vector<StoredFile>& files, absl::string_view name) {
  return std::any_of(files.begin(), files.end(),
                     [&](const StoredFile& file) { return !file.is_directory && file.name == name; });
}

// Partitions alone are no data set: an import that was ended has left them.
absl::Status CheckReplaces(const std::string& uri, bool force, const std::vector<StoredFile>& entries) {
  const bool is_set = HasFile(entries, kLmdbFile) || HasFile(entries, kLockFile) || HasFile(entries, kManifestName);
  if (force || !is_set) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(uri, ": exists already; --force replaces it"));
}

}  // namespace

absl::Status HoldsOther(const std::string& uri, const std::string& name) {
  return absl::AlreadyExistsError(absl::StrCat(uri, ": holds \"", Printable(name),
                                               "\", and is not an LMDB or a partitioned set alone, so it is not "
                                               "replaced; move that away, or choose another path"));
}

absl::Status CheckJoinedSetTarget(const std::string& uri, bool force, const StorageTable& storage,
                                  const std::function<void(const std::string&)>& tell) {
  SAMOVAR_RETURN_IF_ERROR(storage.CheckWritable(absl::StrCat(uri, "/", kManifestName)));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> entries, EntriesOf(uri, storage));
  const auto other = std::find_if_not(entries.begin(), entries.end(), IsOfSet);
  if (other != entries.end() && std::none_of(entries.begin(), entries.end(), IsOfSet)) {
    return HoldsOther(uri, other->name);
  }
  SAMOVAR_RETURN_IF_ERROR(CheckReplaces(uri, force, entries));
  if (other != entries.end() && tell) {
    const auto others = std::count_if(entries.begin(), entries.end(), [](const auto& file) { return !IsOfSet(file); });
    tell(absl::StrCat(uri, ": holds \"", Printable(other->name), "\"",
                      others > 1 ? absl::StrCat(" and ", others - 1, " more") : "",
                      ", which is not of the set; it stays where it is, and is not read with the set"));
  }
  return absl::OkStatus();
}

absl::Status CheckPartitionTarget(const std::string& uri, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(storage.CheckWritable(absl::StrCat(uri, "/", kLmdbFile)));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> entries, EntriesOf(uri, storage));
  if (HasFile(entries, kReportName) || std::all_of(entries.begin(), entries.end(), IsUnfinished)) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(absl::StrCat(uri,
                                               ": exists already, and `samovar data write-partition` has not "
                                               "written it; give another --name"));
}

absl::Status CheckIsRepeat(const std::string& uri, const std::string& report, const StorageTable& storage) {
  const absl::StatusOr<std::string> there = storage.ReadBytes(absl::StrCat(uri, "/", kReportName), kMaxReportBytes);
  if (there.ok() && *there == report) return absl::OkStatus();
  if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
  return absl::AlreadyExistsError(absl::StrCat(uri,
                                               ": has other records, which another process has written under this "
                                               "name; give another --name, or remove it with `samovar fs rm ",
                                               uri, " --recursive`"));
}

bool HasPartitionFile(const std::string& uri, uint64_t bytes, const StorageTable& storage) {
  const absl::StatusOr<StoredFile> file = storage.Stat(absl::StrCat(uri, "/", kLmdbFile));
  return file.ok() && !file->is_directory && file->bytes == bytes;
}

absl::Status CheckStoredSetTarget(const std::string& uri, bool force, const StorageTable& storage) {
  SAMOVAR_RETURN_IF_ERROR(storage.CheckWritable(absl::StrCat(uri, "/", kManifestName)));
  SAMOVAR_ASSIGN_OR_RETURN(const std::vector<StoredFile> entries, EntriesOf(uri, storage));
  const auto other = std::find_if_not(entries.begin(), entries.end(), IsOfSet);
  return other == entries.end() ? CheckReplaces(uri, force, entries) : HoldsOther(uri, other->name);
}

absl::StatusOr<std::unique_ptr<SetUpload>> SetUpload::Begin(const std::string& uri, const StorageTable& storage,
                                                            std::function<void(const std::string&)> tell) {
  std::unique_ptr<SetUpload> upload(new SetUpload(uri, storage, std::move(tell)));
  SAMOVAR_ASSIGN_OR_RETURN(upload->former_, EntriesOf(uri, storage));
  if (upload->HadFile(std::string(kManifestName))) {
    upload->suffix_ = absl::StrFormat("-%08x", static_cast<uint32_t>(std::random_device()()));
  }
  return upload;
}

bool SetUpload::HadFile(const std::string& name) const { return HasFile(former_, name); }

std::string SetUpload::NameOf(uint32_t partition) const { return PartitionName(partition) + suffix_; }

absl::Status SetUpload::Send(const std::string& path, const std::string& to) {
  LocalStorage here;
  SAMOVAR_ASSIGN_OR_RETURN(const std::unique_ptr<RangeReader> reader,
                           here.OpenRange(path, 0, std::numeric_limits<uint64_t>::max()));
  if (tell_ && reader->file_bytes() > kToldBytes) {
    tell_(absl::StrCat("sends ", to, ": ", reader->file_bytes() >> 20, " MiB"));
  }
  return storage_.Put(to, [&](int fd) -> absl::Status {
    std::vector<char> piece(kPieceBytes);
    while (true) {
      SAMOVAR_ASSIGN_OR_RETURN(const size_t count, reader->Read(piece));
      if (count == 0) return absl::OkStatus();
      SAMOVAR_RETURN_IF_ERROR(WriteAll(to, {piece.data(), count}, fd));
    }
  });
}

absl::Status SetUpload::AddPartition(const std::string& directory, uint32_t partition) {
  added_.push_back(NameOf(partition));
  return Send(absl::StrCat(directory, "/", kLmdbFile), absl::StrCat(uri_, "/", added_.back(), "/", kLmdbFile));
}

void SetUpload::RemoveFormerPartitions() {
  for (const StoredFile& file : former_) {
    if (!IsPartition(file) || std::find(added_.begin(), added_.end(), file.name) != added_.end()) continue;
    const std::string directory = absl::StrCat(uri_, "/", file.name);
    for (const StoredFile& left : storage_.List(directory).value_or(std::vector<StoredFile>())) {
      if (IsOfPartition(left)) storage_.Remove(absl::StrCat(directory, "/", left.name)).IgnoreError();
    }
    storage_.Remove(directory).IgnoreError();
  }
}

absl::Status SetUpload::FinishSet(const v1::DatasetManifest& manifest) {
  // With it the directory would be an LMDB.
  for (const absl::string_view name : {kLmdbFile, kLockFile}) {
    if (!HadFile(std::string(name))) continue;
    const absl::Status removed = storage_.Remove(absl::StrCat(uri_, "/", name));
    if (!absl::IsNotFound(removed)) SAMOVAR_RETURN_IF_ERROR(removed);
  }
  SAMOVAR_RETURN_IF_ERROR(WriteManifest(uri_, manifest, storage_));
  RemoveFormerPartitions();
  return absl::OkStatus();
}

absl::Status SetUpload::FinishPartition(const std::string& directory, uint64_t bytes, const std::string& report) {
  const absl::Status first = storage_.Create(absl::StrCat(uri_, "/", kReportName), report);
  if (absl::IsAlreadyExists(first)) return CheckIsRepeat(uri_, report, storage_);
  SAMOVAR_RETURN_IF_ERROR(first);
  const std::string file = absl::StrCat(uri_, "/", kLmdbFile);
  // Whole, since it is there, and of this report.
  if (HasPartitionFile(uri_, bytes, storage_)) return absl::OkStatus();
  return Send(absl::StrCat(directory, "/", kLmdbFile), file);
}

absl::Status SetUpload::FinishLmdb(const std::string& directory) {
  SAMOVAR_RETURN_IF_ERROR(Send(absl::StrCat(directory, "/", kLmdbFile), absl::StrCat(uri_, "/", kLmdbFile)));
  if (HadFile(std::string(kManifestName))) storage_.Remove(absl::StrCat(uri_, "/", kManifestName)).IgnoreError();
  RemoveFormerPartitions();
  return absl::OkStatus();
}

}  // namespace samovar
